"""What accepting, delivering and reading are held to, and how their figures are shown."""

from __future__ import annotations

from collections.abc import Mapping

from tests.bench.enrich.rounds import AT_RATE, FEW, MANY, RATE, Figures
from tests.bench.report import Bar

ACCEPT_P99_MS = 50.0
ACCEPTED_PER_S = 2_500
OF_THE_ENGINE = 0.6
DELIVERED_PER_S = 2_000
EPISODE_MS = CONTEXT_MS = 50.0
OFFERED = 0.95  # of the rate: fewer would not be that rate
SHARES = (50, 95, 99)
CONTEXTS = ("context, cold", "context, warm", "context, session goes on")


def bars_of(figures: Figures) -> list[Bar]:
    most = max(figures.rate(FEW), figures.rate(MANY))
    share = max(figures.rate(name) / figures.rate(f"engine alone: {name}") for name in (FEW, MANY))
    seen = figures.rate(AT_RATE)
    p99_ms, episode_ms = figures.ms(AT_RATE, 99), figures.ms("episode of 1000 turns", 95)
    bars = [
        Bar(
            f"accept at {RATE} turns/s: p99 at most {ACCEPT_P99_MS:g} ms",
            f"{p99_ms:.1f} ms, at {seen:.0f} turns/s",
            p99_ms <= ACCEPT_P99_MS and seen >= OFFERED * RATE,
        ),
        Bar(f"accepted turns/s, at least {ACCEPTED_PER_S}", f"{most:.0f}", most >= ACCEPTED_PER_S),
        Bar(f"of the bare engine, at least {OF_THE_ENGINE:g}", f"{share:.2f}", share >= OF_THE_ENGINE),
        _delivery(figures),
        Bar(
            f"an episode of 1000 turns read, p95 at most {EPISODE_MS:g} ms",
            f"{episode_ms:.1f} ms",
            episode_ms <= EPISODE_MS,
        ),
        *(_context(figures, name) for name in CONTEXTS),
    ]
    return [Bar(f"{figures.engine}, {bar.promise}", bar.seen, bar.is_met) for bar in bars]


def _delivery(figures: Figures) -> Bar:
    rate = figures.rate("delivery")
    promise = f"delivery to embedded memory, turns/s, at least {DELIVERED_PER_S}"
    return Bar(promise, f"{rate:.0f}", rate >= DELIVERED_PER_S)


def _context(figures: Figures, name: str) -> Bar:
    p95_ms = figures.ms(name, 95)
    promise = f"{name}, {figures.size.stored} turns stored: p95 at most {CONTEXT_MS:g} ms"
    return Bar(promise, f"{p95_ms:.1f} ms", p95_ms <= CONTEXT_MS)


def rows_of(figures: Figures) -> list[Mapping[str, object]]:
    """A line for each thing that was measured, in the order in which it was."""
    return [_row(figures, name, cells[0]) for name, cells in figures.cells.items()]


def _row(figures: Figures, name: str, cell: Mapping[str, object]) -> Mapping[str, object]:
    turns = cell["turns"]
    return {
        "engine": figures.engine,
        "what": name,
        "turns/s": f"{figures.rate(name):.0f}" if turns else "",
        "CPU ms/turn": f"{figures.cpu_ms(name):.3f}" if turns and "cpu_s" in cell else "",
        **{f"p{share} ms": f"{figures.ms(name, share):.2f}" if "p50_ms" in cell else "" for share in SHARES},
    }
