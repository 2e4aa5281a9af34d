"""What the soak is held to, and how it is shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mean

from tests.bench.report import Bar
from tests.bench.soak_browser.ends import ENDS
from tests.bench.soak_browser.soak import Soaked

LEAST_ENDS, LEAST_TURNS = 300, 3_000  # of the full form
SHORT_ENDS = 48
MOST_DUPLICATES = 0.01  # of turns that two tabs sent where nothing went wrong
MOST_SECONDS = 360.0  # of the short form


def rows(soaked: Soaked) -> Sequence[Mapping[str, object]]:
    return [row(name, soaked) for name in ENDS]


def row(name: str, soaked: Soaked) -> Mapping[str, object]:
    ended = [end for end in soaked.ended if end.name == name]
    return {
        "end": name,
        "times": len(ended),
        "with two tabs": sum(end.tabs > 1 for end in ended),
        "turns stored": sum(end.stored for end in ended),
        "s each": round(mean(end.seconds for end in ended), 2) if ended else "–",
    }


def bars_of(soaked: Soaked, *, is_whole: bool) -> list[Bar]:
    verdict, calm = soaked.verdict, soaked.calm
    share = calm.duplicates / max(calm.turns, 1)
    wrong = (
        f"{verdict.lost} lost, {verdict.doubled} doubled, {verdict.disordered} out of order,"
        f" {verdict.foreign} foreign, {verdict.invented} invented, of {verdict.acked}"
    )
    bars = [
        Bar(
            "of turns whose commit was confirmed 0 lost, 0 doubled, 0 out of order, none foreign or invented",
            wrong,
            verdict.wrong == 0 and verdict.acked > 0,
        ),
        Bar("after a last visit nothing waits in any profile", str(soaked.waiting), soaked.waiting == 0),
        Bar(
            f"two tabs where nothing goes wrong: duplicates at most {MOST_DUPLICATES:.0%}",
            f"{calm.duplicates} of {calm.turns}",
            share <= MOST_DUPLICATES and calm.turns > 0,
        ),
    ]
    if len(soaked.ended) >= SHORT_ENDS:
        bars.append(_happened(soaked))
    return [*bars, *(_of_the_whole(soaked) if is_whole else _of_the_short(soaked))]


def _happened(soaked: Soaked) -> Bar:
    """A soak in which nothing went wrong would show nothing."""
    faults = {name: soaked.seen.get(name, 0) for name in ("storm", "dropped", "refused")}
    seen = {**faults, "found waiting at load": soaked.waited}
    words = ", ".join(f"{name} {count}" for name, count in seen.items())
    return Bar("every fault happened, and turns had to wait for another page", words, all(seen.values()))


def _of_the_whole(soaked: Soaked) -> list[Bar]:
    ends, turns = len(soaked.ended), soaked.verdict.acked
    return [
        Bar(f"ends, at least {LEAST_ENDS}", str(ends), ends >= LEAST_ENDS),
        Bar(f"turns stored, at least {LEAST_TURNS}", str(turns), turns >= LEAST_TURNS),
        Bar(
            "answers remembered as far as a page that died had heard them",
            str(soaked.interrupted),
            soaked.interrupted > 0,
        ),
    ]


def _of_the_short(soaked: Soaked) -> list[Bar]:
    is_met = soaked.seconds <= MOST_SECONDS
    return [Bar(f"seconds, at most {MOST_SECONDS:.0f}", f"{soaked.seconds:.0f}", is_met)]
