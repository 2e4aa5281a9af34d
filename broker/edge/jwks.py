"""The public keys of somebody who signs: a JSON Web Key Set, fetched when needed, no more often, and kept.

A token that names an unknown key may be made up, or signed with a key of a moment ago. Only a fetch begun
after the key id was first seen tells which; until there is one its bearer has to wait, and is not refused.
Nor is anybody after a fetch that was in vain: what it would have brought is not known.

unknown -> known: a fetch brought it; unknown -> refused: the last fetch, begun since, did not; known ->
unknown: a later fetch brought the others without it, or for ``stale_s`` none brought any.

Source: https://www.rfc-editor.org/rfc/rfc7517 (checked 2026-11-20).
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import structlog
from pydantic_core import from_json

FETCH_S = 2.0
KEY_SET_BYTES = 64 * 1024
REFRESH_S = 3600.0
LONGEST_RETRY_S = 60.0  # of `keep_fresh`, while the signer cannot be asked
SOONEST_RETRY_S = 1.0
MOST_SEEN = 1_000  # key ids we do not know and remember to have seen
LONGEST_KEY_ID = 64  # the broker's are SHA-256 in base64url, 43 characters; Entra's SHA-1, 27

Key = TypeVar("Key")
Fetch = Callable[[], Awaitable[bytes]]

log = structlog.get_logger(__name__)


class NotFetched(Exception):
    """The signer gave no key set. A `Fetch` raises it for whatever went wrong."""


class NoSuchKey(Exception):
    """The signer has no key of that id."""


class KeysUnavailable(Exception):
    """The token may be good; the keys to check it cannot be fetched before ``retry_after_s``."""

    def __init__(self, retry_after_s: float) -> None:
        super().__init__("the keys to check it are not here yet")
        self.retry_after_s = max(SOONEST_RETRY_S, retry_after_s)


@dataclass(frozen=True, slots=True)
class Pace:
    """How often unknown key ids may make us fetch, and how long keys count when no fetch works. Seconds."""

    pause_s: float
    pause_after_failure_s: float
    stale_s: float = math.inf


class KeySet(Generic[Key]):
    """Keys by their id. ``fetch`` gives the key set as it is sent, of at most `KEY_SET_BYTES`; ``read`` makes
    keys of the JSON, or raises ValueError. ``name`` is for the log."""

    def __init__(
        self,
        name: str,
        fetch: Fetch,
        read: Callable[[Any], dict[str, Key]],
        pace: Pace,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._fetch = fetch
        self._read = read
        self._pace = pace
        self._monotonic = monotonic
        self._keys: Mapping[str, Key] = {}
        self._good_until = -math.inf
        self._fetching = asyncio.Lock()
        self._begun = 0  # fetches, counted from 1
        self._quiet_until = -math.inf
        self._seen: dict[str, int] = {}  # unknown key id -> fetches begun when it was first seen
        self.answered = 0  # the last fetch that brought keys

    @property
    def current(self) -> Mapping[str, Key]:
        """Every key that counts now; none when they have become too old."""
        return self._keys if self._monotonic() < self._good_until else {}

    async def find(self, kid: str) -> Key:
        """The key of that id, fetched when it must be. Raises `NoSuchKey`, `KeysUnavailable`."""
        key = self.current.get(kid)
        if key is not None:
            return key
        if len(kid) > LONGEST_KEY_ID:
            raise NoSuchKey
        self._remember(kid)
        await self._fetch_for(kid)
        current = self.current
        if kid in current:
            self._seen.pop(kid, None)  # should it become too old, it is not what an earlier fetch refused
            return current[kid]
        if self._begun == self.answered > self._seen.get(kid, self._begun):
            raise NoSuchKey
        raise KeysUnavailable(self._quiet_until - self._monotonic())

    async def keep_fresh(self, *, begins_in_s: float = 0.0) -> None:
        """Never ends: fetches every hour, so that a new key is here before its first token, and one that was
        taken back no longer counts.

        After a failure sooner, from 1 s doubled up to a minute.
        """
        await asyncio.sleep(begins_in_s)
        failures = 0
        while True:
            before = self.answered
            async with self._fetching:  # somebody's token may have had them fetched meanwhile
                is_fresh = self.answered > before or await self._is_fetched()
            failures = 0 if is_fresh else failures + 1
            await asyncio.sleep(min(LONGEST_RETRY_S, 2 ** (failures - 1)) if failures else REFRESH_S)

    def _remember(self, kid: str) -> None:
        """Since which fetch ``kid`` is known to be unknown. Made-up ids push each other out, oldest first."""
        self._seen.setdefault(kid, self._begun)
        if len(self._seen) > MOST_SEEN:
            del self._seen[next(iter(self._seen))]

    async def _fetch_for(self, kid: str) -> None:
        """Once for all who wait, and not again within the pause."""
        async with self._fetching:
            if kid in self.current or self._monotonic() < self._quiet_until:
                return
            pause_s = self._pace.pause_after_failure_s
            try:
                if await self._is_fetched():
                    pause_s = self._pace.pause_s
            finally:
                self._quiet_until = self._monotonic() + pause_s

    async def _is_fetched(self) -> bool:
        self._begun += 1
        try:
            async with asyncio.timeout(FETCH_S):
                sent = await self._fetch()
            self._keys = self._read(from_json(sent))
        except (TimeoutError, NotFetched, ValueError) as exc:
            log.warning("keys.unreadable", reason=self._name, error=type(exc).__name__)
            return False
        self.answered = self._begun
        self._good_until = self._monotonic() + self._pace.stale_s
        return True
