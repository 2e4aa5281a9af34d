"""Who is told what happens to turns, for figures. Nobody waits for it, and nothing depends on it."""

from __future__ import annotations

from typing import Protocol


class Watch(Protocol):
    def posted(self, result: str, turns: int) -> None:
        """Of one post so many turns were ``accepted``, ``duplicate``, ``conflicting``, ``rejected`` by what
        is in them, or ``failed``: nobody knows that they are kept."""
        ...

    def committed(self, seconds: float) -> None:
        """How long a post waited to be durable."""
        ...

    def delivered(self, lag_s: float) -> None:
        """Memory has turns; the oldest of them was accepted so long ago."""
        ...


class Unwatched:
    """Nobody is told."""

    def posted(self, result: str, turns: int) -> None:
        pass

    def committed(self, seconds: float) -> None:
        pass

    def delivered(self, lag_s: float) -> None:
        pass
