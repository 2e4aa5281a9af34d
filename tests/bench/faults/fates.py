"""What becomes of one request to mint. Pure: decided by schedule, domain, faults and number."""

from __future__ import annotations

import math
import random
from collections.abc import Set
from dataclasses import dataclass
from enum import StrEnum

from tests.bench.faults.mixes import NOISE_SHARE, Fault
from tests.bench.faults.schedules import Schedule

MEDIAN_S, SIGMA = 0.180, 0.35  # of the lognormal time that a mint takes
REFUSAL_S = 0.080  # median of the time that an error takes
SLOW_S = (2.0, 15.0)
SLOWER_S = (3.0, 15.0)  # in the mix where 5 % are slow
BROWNOUT_SHARE = RUBBISH_SHARE = 0.3
SERVER_ERRORS = (500, 502, 503, 504)
RETRY_AFTER_S = (1, 2, 3)


class Ending(StrEnum):
    """How a request ends."""

    MINTED = "minted"
    SERVER_ERROR = "5xx"
    THROTTLED = "429"
    RUBBISH = "200 and no token"
    SILENCE = "never answered"


@dataclass(frozen=True, slots=True)
class Fate:
    """How a request with a valid credential ends, and after how long. ``choice``: which of the variants."""

    ending: Ending
    after_s: float
    status: int = 200
    retry_after_s: int = 0
    choice: int = 0


@dataclass(frozen=True, slots=True)
class Dice:
    """The random part of one request, always drawn in the same order, so that faults never shift it."""

    mint_s: float
    refusal_s: float
    slow_s: float
    luck: float
    fault_luck: float
    choice: int


def dice_of(schedule: Schedule, domain: str, number: int) -> Dice:
    draw = random.Random(f"{schedule.seed}/{schedule.mix.name}/{domain}/{number}")
    spread = math.exp(draw.gauss(0.0, SIGMA))
    slow = SLOW_S if schedule.mix.slow_share < 0.01 else SLOWER_S
    return Dice(
        mint_s=MEDIAN_S * spread,
        refusal_s=REFUSAL_S * spread,
        slow_s=draw.uniform(*slow),
        luck=draw.random(),
        fault_luck=draw.random(),
        choice=draw.randrange(60),
    )


def fate(schedule: Schedule, faults: Set[Fault], domain: str, number: int) -> Fate:
    """What becomes of the ``number``-th request to a domain that suffers from ``faults`` just now."""
    dice = dice_of(schedule, domain, number)
    return _by_fault(dice, faults) or _as_usual(dice, schedule.mix.slow_share)


def _by_fault(dice: Dice, faults: Set[Fault]) -> Fate | None:
    if Fault.DARK in faults:
        return Fate(Ending.SILENCE, math.inf)
    if Fault.STORM in faults:
        wait_s = RETRY_AFTER_S[dice.choice % len(RETRY_AFTER_S)]
        return Fate(Ending.THROTTLED, dice.refusal_s, 429, wait_s, dice.choice)
    if Fault.BROWNOUT in faults and dice.fault_luck < BROWNOUT_SHARE:
        return _server_error(dice)
    if Fault.RUBBISH in faults and dice.fault_luck < RUBBISH_SHARE:
        return Fate(Ending.RUBBISH, dice.mint_s, choice=dice.choice)
    return None


def _as_usual(dice: Dice, slow_share: float) -> Fate:
    if dice.luck < NOISE_SHARE:
        return _server_error(dice)
    is_slow = dice.luck < NOISE_SHARE + slow_share
    return Fate(Ending.MINTED, dice.slow_s if is_slow else dice.mint_s)


def _server_error(dice: Dice) -> Fate:
    return Fate(Ending.SERVER_ERROR, dice.refusal_s, SERVER_ERRORS[dice.choice % len(SERVER_ERRORS)])
