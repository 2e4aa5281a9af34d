"""What browsers say: sessions of turns, and which of them were sent and which were promised to be kept."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from broker.edge.grants import GrantSigner

TURNS = 20  # of a session
PARCEL = 2  # turns of a post: what a page sends is mostly a question and its answer
WORDS = "I take the train at eight and my sister in Paris likes short answers about rain and music".split()
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


def sessions(
    name: str, seed: int, signer: GrantSigner, *, people: int = 200, turns: int = TURNS
) -> Iterator[Session]:
    """Conversations without end. No text occurs twice, so that a doubled turn shows under any id."""
    rng = random.Random(f"{name} {seed}")
    number = 0
    while True:
        number += 1
        person, session_id = f"person-{rng.randrange(people)}", f"{name}-{seed}-{number}"
        grant, _ = signer.sign(person=person, session_id=session_id, agent_id="elena")
        said = {f"item_{turn:03}": f"{session_id} {turn}: {_sentence(rng)}" for turn in range(turns)}
        yield Session(person, session_id, grant, said)


def _sentence(rng: random.Random) -> str:
    return " ".join(rng.choices(WORDS, k=rng.randint(4, 40)))
