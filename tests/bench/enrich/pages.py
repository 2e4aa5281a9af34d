"""What pages send: sessions of turns, each with its grant, as bytes and as the turns they become."""

from __future__ import annotations

import functools
import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from broker.edge.grants import GrantSigner
from enrichment.turns import BATCH, Turn, from_batch

TURNS = 20  # of a session; then the next person speaks
WORDS, SENTENCES, SENTENCE = 5_000, 4_000, 18  # words there are, sentences there are, words of one
TURN = (
    b'{"turn_id":"item_%d","previous_turn_id":%b,"speaker":"user","text":"%b %d","agent_id":"elena",'
    b'"spoken_at":"2026-11-20T08:00:00Z","interrupted":false}'
)
KEY_BYTES = 32


def signer_of(seed: str) -> GrantSigner:
    """The same key for the same seed, so that two processes need not pass one on."""
    raw = seed.encode().ljust(KEY_BYTES, b"-")[:KEY_BYTES]
    return GrantSigner(Ed25519PrivateKey.from_private_bytes(raw), environment="development")


@dataclass(frozen=True, slots=True)
class Page:
    """One session of one person."""

    person: str
    session_id: str
    grant: str
    number: int

    def bodies(self, per_post: int, turns: int = TURNS) -> Iterator[bytes]:
        """Its posts, one after the other."""
        for first in range(0, turns, per_post):
            said = b",".join(self._turn(place) for place in range(first, min(turns, first + per_post)))
            head = f'{{"grant":"{self.grant}","session_id":"{self.session_id}","turns":['.encode()
            yield head + said + b"]}"

    def posts(self, per_post: int, turns: int = TURNS) -> Iterator[list[Turn]]:
        """The same as `bodies`, as the outbox gets it."""
        for body in self.bodies(per_post, turns):
            yield list(from_batch(BATCH.validate_json(body)).turns)

    def _turn(self, place: int) -> bytes:
        before = b'"item_%d"' % (place - 1) if place else b"null"
        text = sentences()[(self.number * TURNS + place) * 7 % SENTENCES]
        return TURN % (place, before, text, self.number)


@functools.cache
def sentences() -> list[bytes]:
    """Made-up words, each as often as words of its rank are, the short ones first."""
    rng = random.Random("sentences")
    words = [
        "".join(letters) for length in (2, 3) for letters in itertools.product("aeioklmnrst", repeat=length)
    ]
    words += ["".join(rng.choices("aeioklmnrst", k=rng.randint(5, 9))) for _ in range(WORDS - len(words))]
    weights = [1 / (place + 1) for place in range(WORDS)]
    return [" ".join(rng.choices(words, weights, k=SENTENCE)).encode() for _ in range(SENTENCES)]


def pages(seed: str, name: str, people: int = 1_000) -> Iterator[Page]:
    """Sessions without end; ``name`` keeps those of two cells apart."""
    signer = signer_of(seed)
    for number in itertools.count():
        person, session_id = f"person-{number % people}", f"{name}-{number}"
        grant, _ = signer.sign(person=person, session_id=session_id, agent_id="elena")
        yield Page(person, session_id, grant, number)
