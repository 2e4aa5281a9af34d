"""What browsers say: sessions of turns, and which of them were sent and which were promised to be kept."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from broker.edge.grants import GrantSigner

TURNS = 20  # of a session
PARCEL = 2  # turns of a post: what a page sends is mostly a question and its answer
WORDS = ("the train", "at eight", "my sister", "in Paris", "likes", "short answers", "about", "rain", "music")
SPOKEN_AT = "2026-11-20T08:00:00Z"

TurnKey = tuple[str, str]  # session id, turn id


@dataclass(frozen=True, slots=True)
class Session:
    """One conversation. ``turns``: turn id -> text, in conversation order."""

    person: str
    session_id: str
    grant: str
    turns: dict[str, str]

    def parcels(self) -> Iterator[Sequence[str]]:
        """The turn ids of one post after the other."""
        ids = list(self.turns)
        for first in range(0, len(ids), PARCEL):
            yield ids[first : first + PARCEL]

    def body(self, turn_ids: Sequence[str]) -> bytes:
        """A post of these turns, as the page sends it."""
        before = dict(zip(list(self.turns)[1:], self.turns, strict=False))
        turns = [
            {
                "turn_id": turn_id,
                "previous_turn_id": before.get(turn_id),
                "speaker": "user" if number % 2 == 0 else "assistant",
                "text": self.turns[turn_id],
                "agent_id": "elena",
                "spoken_at": SPOKEN_AT,
                "interrupted": False,
            }
            for number, turn_id in enumerate(turn_ids)
        ]
        return json.dumps({"grant": self.grant, "session_id": self.session_id, "turns": turns}).encode()


@dataclass(slots=True)
class History:
    """What was sent, and what of it was answered 202."""

    sessions: dict[str, Session] = field(default_factory=dict)
    sent: set[TurnKey] = field(default_factory=set)
    acked: set[TurnKey] = field(default_factory=set)

    def add(self, session: Session) -> None:
        self.sessions[session.session_id] = session

    def send(self, session: Session, turn_ids: Sequence[str]) -> None:
        self.sent.update((session.session_id, turn_id) for turn_id in turn_ids)

    def ack(self, session_id: str, turn_ids: Sequence[str]) -> None:
        self.acked.update((session_id, turn_id) for turn_id in turn_ids)


class Conversations:
    """Sessions without end, the same for the same seed. ``people`` have them, each several.

    No text occurs twice, so that a doubled turn shows under any id.
    """

    def __init__(
        self, name: str, seed: int, signer: GrantSigner, *, people: int = 200, turns: int = TURNS
    ) -> None:
        self._name = f"{name}-{seed}"
        self._rng = random.Random(self._name)
        self._signer = signer
        self._people = people
        self._turns = turns
        self._count = 0

    def __iter__(self) -> Conversations:
        return self

    def __next__(self) -> Session:
        self._count += 1
        session_id = f"{self._name}-{self._count}"
        person = f"person-{self._rng.randrange(self._people)}"
        said = {f"item_{turn:03}": f"{session_id} {turn}: {self._sentence()}" for turn in range(self._turns)}
        return self._session(person, session_id, said)

    def intruding(self, guessed: Session) -> Session:
        """Somebody else, with a good grant of their own, in a session that is not theirs."""
        return self._session("intruder", guessed.session_id, {"intruding": "This is not mine."})

    def _session(self, person: str, session_id: str, said: dict[str, str]) -> Session:
        grant, _ = self._signer.sign(person=person, session_id=session_id, agent_id="elena")
        return Session(person, session_id, grant, said)

    def _sentence(self) -> str:
        return " ".join(self._rng.choices(WORDS, k=self._rng.randint(3, 30)))
