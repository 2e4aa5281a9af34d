"""The door before signing in: how often an address may knock; who fails again and again must wait."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Protocol

from starlette.requests import Request

from broker.edge.addresses import neighbourhood
from broker.edge.limit_rules import Bar, Pace
from broker.edge.limits import Kept, Limits, Wish
from broker.edge.problems import NotSignedIn

FAILURES = Bar("failures", "failed attempts to sign in from your network", count=10, per_s=60, bar_s=300)


class Door(Protocol):
    """Stands around the proof of who is asking."""

    def passing(self, request: Request[Any]) -> AbstractContextManager[None]:
        """Raises `TooMany` when the request's network may not even try."""
        ...


class WatchedDoor:
    """Counts by network, in this process alone: asking a store for strangers would let them load it."""

    def __init__(self, now: Callable[[], float], *, per_minute: int) -> None:
        says = f"requests from your network: {per_minute} a minute"
        self._limits = Limits(Kept(now))
        self._knocks = Pace("knocks", says, per_minute, 60, burst=per_minute)

    @contextmanager
    def passing(self, request: Request[Any]) -> Iterator[None]:
        """A `NotSignedIn` that is raised inside is remembered."""
        network = neighbourhood(request.scope)
        self._limits.take_here(Wish(network, FAILURES, 0), Wish(network, self._knocks))
        try:
            yield
        except NotSignedIn:
            self._limits.take_here(Wish(network, FAILURES))
            raise


class OpenDoor:
    """Nobody is counted."""

    def passing(self, request: Request[Any]) -> AbstractContextManager[None]:  # noqa: ARG002 - as WatchedDoor
        return nullcontext()
