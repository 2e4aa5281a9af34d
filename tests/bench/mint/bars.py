"""What the mint bench is held to."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from tests.bench.mint.figures import Figures
from tests.bench.mint.systems import FLOOR, OURS, OURS_GUARDED, OURS_UNGUARDED, OURS_WITHOUT_MEMORY
from tests.bench.report import Bar

ADDED_MS = 0.6
ADDED_AT_FIRST_MS = 1.0  # what the first issue promised, of each of the two reads
FLOOR_SHARE = 0.35
GUARD_MS = 0.15  # of CPU
RSS_MB = 90
CONNECTIONS = 0.01  # new ones per mint


def bars_of(figures: Mapping[str, Figures], peers: Collection[str], *, peers_wanted: int) -> list[Bar]:
    """``peers`` are the names of those that ran."""
    ours, plain, floor = figures[OURS], figures[OURS_WITHOUT_MEMORY], figures[FLOOR]
    guard_ms = figures[OURS_GUARDED].cpu_ms - figures[OURS_UNGUARDED].cpu_ms
    share = ours.per_s / floor.per_s if floor.per_s else 0.0
    return [
        *(_added(one) for one in (ours, plain)),
        Bar(
            f"asked directly against through the broker, p50 added, at most {ADDED_AT_FIRST_MS:g} ms",
            f"{ours.added_p50_ms:.2f} ms",
            ours.added_p50_ms <= ADDED_AT_FIRST_MS,
        ),
        *_against([figures[name] for name in peers], ours, peers_wanted),
        Bar(
            f"at 32 callers at least {FLOOR_SHARE:g} of the floor's mints/s",
            f"{share:.2f}",
            share >= FLOOR_SHARE,
        ),
        Bar(
            f"all guards together cost at most {GUARD_MS:g} ms of CPU per mint",
            f"{guard_ms:.3f} ms",
            guard_ms <= GUARD_MS,
        ),
        Bar(f"RSS at most {RSS_MB} MB", f"{ours.rss_mb:.0f} MB", ours.rss_mb <= RSS_MB),
        Bar(
            f"new upstream connections per mint at most {CONNECTIONS:g}",
            f"{ours.connections:.4f}",
            ours.connections <= CONNECTIONS,
        ),
        *(_sound(one) for one in (ours, plain, floor)),
    ]


def _added(one: Figures) -> Bar:
    promise = f"{one.name}: p50 added to a mint at one caller, at most {ADDED_MS:g} ms"
    return Bar(promise, f"{one.added_p50_ms:.2f} ms", one.added_p50_ms <= ADDED_MS)


def _against(peers: Sequence[Figures], ours: Figures, wanted: int) -> list[Bar]:
    if not wanted:
        return []
    if not peers:
        return [Bar("against the peers", "none of them ran", is_met=False)]
    counted = f"every peer that ran ({len(peers)} of {wanted})"
    fastest = max(peers, key=lambda peer: peer.per_s)
    thriftiest = min(peers, key=lambda peer: peer.cpu_ms)
    return [
        Bar(
            f"at 32 callers more mints/s than {counted}",
            f"{ours.per_s:.0f}; next {fastest.name} {fastest.per_s:.0f}",
            ours.per_s > fastest.per_s,
        ),
        Bar(
            f"less CPU per mint than {counted}",
            f"{ours.cpu_ms:.3f} ms; next {thriftiest.name} {thriftiest.cpu_ms:.3f} ms",
            ours.cpu_ms < thriftiest.cpu_ms,
        ),
    ]


def _sound(one: Figures) -> Bar:
    return Bar(f"{one.name}: every answer holds a token just minted", one.fault or "yes", not one.fault)
