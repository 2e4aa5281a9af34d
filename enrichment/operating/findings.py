"""What a check found, and the mend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

NAMED = 3


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. ``count`` is how often it is wrong, ``where`` some of the places."""

    name: str
    fact: str
    count: int = 0
    where: Sequence[str] = ()
    mend: str = ""

    def line(self) -> str:
        if self.count == 0:
            return f"ok     {self.fact}"
        places = (
            f" ({', '.join(self.where[:NAMED])}{', …' if self.count > NAMED else ''})" if self.where else ""
        )
        return f"WRONG  {self.fact}: not so {self.count}×{places}. {self.mend}"
