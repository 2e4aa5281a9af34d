"""What a simulated Zep keeps: users, their sessions, messages, and the facts made of them."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

NO_PROJECT = "00000000-0000-0000-0000-000000000000"
MOST_FACTS = 5


class Refusal(Exception):
    """An answer that is no success, with Zep's words."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


@dataclass
class Session:
    session_id: str
    user_id: str | None
    metadata: dict[str, Any] | None = None
    uuid: str = field(default_factory=lambda: str(uuid.uuid4()))
    created_at: str = field(default_factory=lambda: now())  # noqa: PLW0108 - it is defined below
    messages: list[dict[str, Any]] = field(default_factory=list)

    def told(self) -> dict[str, Any]:
        return {
            "uuid": self.uuid,
            "id": 1,
            "created_at": self.created_at,
            "updated_at": self.created_at,
            "deleted_at": None,
            "ended_at": None,
            "session_id": self.session_id,
            "metadata": self.metadata,
            "user_id": self.user_id,
            "project_uuid": NO_PROJECT,
        }


class Store:
    """Everything in memory. Message ids are unique across the whole server, deleted ones included."""

    def __init__(self) -> None:
        self.users: dict[str, dict[str, Any]] = {}
        self.sessions: dict[str, Session] = {}
        self.facts: dict[str, list[dict[str, Any]]] = {}  # by user, or by session when it is nobody's
        self.message_ids: set[str] = set()

    def add_user(self, user_id: str, given: dict[str, Any]) -> dict[str, Any]:
        if not user_id:
            raise Refusal(400, "bad request: UserID cannot be empty")
        if user_id in self.users:
            raise Refusal(400, f"bad request: user already exists with user_id: {user_id}")
        kept = {name: value for name, value in given.items() if value}
        self.users[user_id] = {"uuid": str(uuid.uuid4()), "created_at": now(), **kept}
        return self.users[user_id]

    def add_session(self, session_id: str, user_id: str | None, metadata: Any = None) -> Session:
        if not session_id:
            raise Refusal(400, "bad request: sessionID cannot be empty")
        if user_id is not None and user_id not in self.users:
            raise Refusal(400, "user not found")
        if session_id in self.sessions:
            raise Refusal(400, f"bad request: session already exists with session_id: {session_id}")
        self.sessions[session_id] = Session(session_id, user_id, metadata)
        return self.sessions[session_id]

    def sessions_of(self, user_id: str) -> list[Session]:
        return [session for session in self.sessions.values() if session.user_id == user_id]

    def add_messages(self, session: Session, messages: list[dict[str, Any]], *, extracted: bool) -> None:
        """All of them, or none when one is refused."""
        ids = [message.get("uuid") or str(uuid.uuid4()) for message in messages]
        if len(set(ids)) < len(ids) or self.message_ids & set(ids):
            raise Refusal(400, "bad request: message_uuid already exists")
        self.message_ids |= set(ids)
        for message_id, message in zip(ids, messages, strict=True):
            session.messages.append(_kept(message_id, message))
            if extracted:
                self._extract(session, message)

    def _extract(self, session: Session, message: dict[str, Any]) -> None:
        facts = self.facts.setdefault(session.user_id or session.session_id, [])
        fact = f"It was said: {message['content'][:80]}"
        facts.append({"uuid": str(uuid.uuid4()), "fact": fact, "rating": 0, "created_at": now()})

    def relevant_facts(self, session: Session) -> list[dict[str, Any]]:
        """Of the user when the session has one; a deleted session's are among them."""
        latest = " ".join(message["content"] for message in session.messages[-4:])
        return self.matching(session.user_id or session.session_id, latest)[:MOST_FACTS]

    def matching(self, owner: str, text: str) -> list[dict[str, Any]]:
        return [fact for fact in self.facts.get(owner, []) if words(fact["fact"]) & words(text)]

    def delete_session(self, session_id: str) -> None:
        if session_id not in self.sessions:
            raise Refusal(404, "not found")
        del self.sessions[session_id]

    def delete_user(self, user_id: str) -> None:
        if user_id not in self.users:
            raise Refusal(404, "not found")
        for session in self.sessions_of(user_id):
            del self.sessions[session.session_id]
        self.facts.pop(user_id, None)
        del self.users[user_id]


def _kept(message_id: str, message: dict[str, Any]) -> dict[str, Any]:
    """Zep takes a ``created_at`` and stamps its own."""
    return {
        "uuid": message_id,
        "created_at": now(),
        "updated_at": "0001-01-01T00:00:00Z",
        "role": message.get("role", ""),
        "role_type": message["role_type"],
        "content": message["content"],
        "metadata": message.get("metadata"),
        "token_count": 0,
    }


def words(text: str) -> set[str]:
    return set(re.findall(r"\w{4,}", text.lower()))


def now() -> str:
    """As Go writes it: nanoseconds, and Z."""
    return f"{datetime.now(UTC).isoformat(timespec='microseconds').removesuffix('+00:00')}123Z"
