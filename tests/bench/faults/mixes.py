"""Which faults make a mix. Reading this list is reading what the bench claims anything about."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

SLOW_SHARE = 0.005  # of all calls on any day
NOISE_SHARE = 0.0013  # of all calls on any day: a 5xx that means nothing


class Fault(StrEnum):
    """What can be wrong with a domain for a while; the value is what the bench prints."""

    BROWNOUT = "30 % answer 5xx"
    STORM = "429 with Retry-After"
    DARK = "accepts and never answers"
    REVOKED = "the first key answers 401"
    RUBBISH = "30 % answer 200 and no token"
    REFUSED = "refuses connections"


@dataclass(frozen=True, slots=True)
class Outbreak:
    """A fault of some domains, so many times in a day of 24 hours, for so many minutes each time.

    ``at_hour`` None: anywhere in its part of the day, by the seed.
    """

    fault: Fault
    times: int
    minutes: float
    domains: str = "A"
    at_hour: float | None = None


@dataclass(frozen=True, slots=True)
class Mix:
    """One day of faults. ``is_like_the_source``: the shapes with an api-version are 404, as on Azure.

    ``has_identity``: one is configured, and its endpoint never answers.
    """

    name: str
    about: str
    outbreaks: tuple[Outbreak, ...] = ()
    is_like_the_source: bool = True
    has_identity: bool = True
    slow_share: float = SLOW_SHARE
    domains: str = "AB"

    @property
    def is_control(self) -> bool:
        """Whether nothing could succeed throughout: such a mix shows that the bench can fail."""
        return self.name.startswith("N")


BROWNOUTS = Outbreak(Fault.BROWNOUT, 6, 10)
STORMS = Outbreak(Fault.STORM, 6, 5)
BLACK_HOLE = Outbreak(Fault.DARK, 1, 20)
ROTATION = Outbreak(Fault.REVOKED, 1, 30)
RUBBISH = Outbreak(Fault.RUBBISH, 2, 15)
REFUSALS = Outbreak(Fault.REFUSED, 2, 10)
# Long enough to outlast every deadline also when a day is a few minutes.
DUAL_OUTAGE = Outbreak(Fault.DARK, 1, 720, "AB", at_hour=4)
LONELY_OUTAGE = Outbreak(Fault.DARK, 1, 360, at_hour=8)

MIXES = (
    Mix("M0", "healthy", is_like_the_source=False, has_identity=False),
    Mix("M1", "two shapes are 404, the managed identity hangs"),
    Mix("M2", "M1 and brownouts of A", (BROWNOUTS,)),
    Mix("M3", "M1 and 429 storms on A", (STORMS,)),
    Mix("M4", "M1 and a black hole of A", (BLACK_HOLE,)),
    Mix("M5", "M1 and a key of A rotated; keys only", (ROTATION,), has_identity=False),
    Mix("M6", "M1 and 5 % of all calls take 3-15 s", slow_share=0.05),
    Mix(
        "M7",
        "everything at once",
        (BROWNOUTS, STORMS, BLACK_HOLE, ROTATION, RUBBISH, REFUSALS),
        slow_share=0.05,
    ),
    Mix("M8", "M1, bad bodies from A and connections refused by A", (RUBBISH, REFUSALS)),
    Mix("N1", "control: both domains dark for half of the time", (DUAL_OUTAGE,)),
    Mix("N2", "control: one domain alone, dark for a quarter of the time", (LONELY_OUTAGE,), domains="A"),
)


def mix_named(name: str) -> Mix:
    return next(mix for mix in MIXES if mix.name == name)
