"""Where the audit is kept: what a place must promise, and what is raised when it cannot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from broker.edge.audit.sealing import Head, Line
from broker.edge.problems import ProblemType

RETRY_S = 5.0


class AuditFailed(Exception):
    """It could not be written down, so it must not be done, or its answer not be given."""


class SinkFailed(Exception):
    """The place cannot take lines now. The message is a class and a code, never what was to be written."""


UNRECORDED = ProblemType(
    "audit-unavailable", 503, "This cannot be put on record now", retry_after_s=RETRY_S, retryable=True
)


class Sink(Protocol):
    """One place for the lines of one chain. Used by one thread, which it may hold up."""

    def append(self, lines: Sequence[Line]) -> None:
        """All are durable when it returns. Raises `SinkFailed`; then `recover` tells what is there."""
        ...

    def recover(self, known: Head) -> Head:
        """After a failure: how far the chain really is; before it was ``known``. Raises `SinkFailed`."""
        ...

    def close(self) -> None: ...


class Anchors(Protocol):
    """Where it is kept, out of reach of who could change the audit, how far each chain was at some time."""

    async def put(self, head: Head, at_s: float) -> None:
        """Raises `SinkFailed`."""
        ...
