"""What the bench holds us to. A run too small to show a figure is held to what it can show, and says so."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tests.bench.faults.figures import Outage, can_show, showable
from tests.bench.faults.systems import System
from tests.bench.faults.trial import FIRST_CALLERS, Trial
from tests.bench.report import Bar

SUCCESS = 0.9999
SUCCESS_OF_EVERYTHING = 0.9995  # in M7
P99_MS = 1_000
CALLS_EACH = 1.2
DEADLINE_MS = 8_200  # the broker's deadline and a moment to say so
ONE_ATTEMPT_MS = 2_500  # the time of an attempt and a usual mint
START_S = 2.0
FAIL_MS = 10
RECOVERY_S = 1.0
LATE_MS = 50


def bars_of(trials: Sequence[Trial]) -> list[Bar]:
    ours = [trial for trial in trials if trial.system is System.OURS]
    mixes = [trial for trial in ours if not trial.schedule.mix.is_control]
    days = [trial for trial in mixes if not trial.schedule.is_drill]
    return [
        *(_success(trial) for trial in mixes),
        *_worst("p99 at most", P99_MS, "ms", [(trial, trial.figures.p99) for trial in days]),
        *_worst("upstream calls a mint, at most", CALLS_EACH, "", [(one, one.calls_each) for one in days]),
        *_worst("requests to a throttled domain, at most", 0, "", [(one, one.too_early) for one in ours]),
        *_worst("nobody waits longer than", DEADLINE_MS, "ms", [(one, one.figures.slowest) for one in ours]),
        *_identity(days),
        *(bar for trial in ours for bar in _controls(trial)),
        *_worst("callers come on time, p99 late by at most", LATE_MS, "ms", _lateness(trials)),
    ]


def _success(trial: Trial) -> Bar:
    name, figures = trial.schedule.mix.name, trial.figures
    target = SUCCESS_OF_EVERYTHING if name == "M7" else SUCCESS
    seen = f"{figures.successes} of {figures.n}, {percent(figures.share)}, bound {percent(figures.bound)}"
    if can_show(target, figures.n):
        return Bar(f"{name}: success at least {percent(target)}", seen, figures.share >= target)
    less = showable(target, figures.n)
    promise = f"{name}: bound at least {percent(less)} (n={figures.n} cannot show {percent(target)})"
    return Bar(promise, seen, figures.bound >= less)


def _worst(promise: str, limit: float, unit: str, seen: Sequence[tuple[Trial, float]]) -> Iterable[Bar]:
    """One bar for all trials, which shows the worst of them; none when there is no trial."""
    if seen:
        trial, value = max(seen, key=lambda one: one[1])
        where = f"{value:.4g} {unit}".strip() + f" in {trial.schedule.mix.name}"
        yield Bar(f"{promise} {limit:g} {unit}".strip(), where, value <= limit)


def _identity(days: Sequence[Trial]) -> Iterable[Bar]:
    """A managed identity that never answers costs one attempt at most, and no time at the start."""
    hanging = [trial for trial in days if trial.schedule.mix.has_identity]
    yield from _worst(
        "starts beside a hanging identity in", START_S, "s", [(trial, trial.start_s) for trial in hanging]
    )
    quiet = [(trial, trial.first_slowest_ms) for trial in hanging if trial.schedule.mix.name == "M1"]
    yield from _worst(f"and the first {FIRST_CALLERS} callers wait at most", ONE_ATTEMPT_MS, "ms", quiet)


def _controls(trial: Trial) -> Iterable[Bar]:
    outage, name = trial.outage, trial.schedule.mix.name
    if outage is None:
        return
    seen = f"{outage.successes} of {outage.n}; of the whole run {percent(trial.figures.share)} got theirs"
    yield Bar(f"{name}: nobody gets a token while all is dark", seen, not outage.successes)
    if len(trial.schedule.mix.domains) > 1:
        yield from _recovery(trial, outage)


def _recovery(trial: Trial, outage: Outage) -> Iterable[Bar]:
    each = trial.in_outage / max(1, outage.n)
    name, back_s = trial.schedule.mix.name, outage.recovery_s
    yield Bar(f"{name}: fails at p50 in {FAIL_MS} ms", f"{outage.p50:.1f} ms", outage.p50 <= FAIL_MS)
    yield Bar(f"{name}: at most 1 upstream call for a caller in it", f"{each:.2f}", each <= 1.0)
    promise = f"{name}: nobody who comes {RECOVERY_S:g} s after its end is turned away"
    yield Bar(promise, f"the last one after {back_s:.2f} s", back_s <= RECOVERY_S)


def _lateness(trials: Sequence[Trial]) -> list[tuple[Trial, float]]:
    return [(trial, trial.figures.late_p99) for trial in trials]


def percent(share: float) -> str:
    """With one digit more than the highest bar."""
    return f"{share:.3%}"
