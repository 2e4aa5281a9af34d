"""From cells to one figure a column: the best round of each system."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tests.bench.mint.rounds import ALONE, CROWD, FAR, Cell, Shape
from tests.bench.mint.systems import DIRECT

REASON_CHARACTERS = 160
LEAST_ASKED = 0.99  # of the answered mints must have reached the upstream


@dataclass(frozen=True, slots=True)
class Figures:
    """One system. ``far_…`` are None when the slow upstream was left out."""

    name: str
    p50_ms: float
    p99_ms: float
    added_p50_ms: float
    per_s: float
    crowd_p99_ms: float
    cpu_ms: float
    beside_cpu_ms: float
    rss_mb: float
    connections: float
    failed: int
    fault: str
    far_per_s: float | None
    far_p50_ms: float | None

    def row(self) -> dict[str, str]:
        """As the table shows it."""
        opened = "–" if self.name == DIRECT else f"{self.connections:.4f}"
        far = "–" if self.far_per_s is None else f"{self.far_per_s:.0f} / {self.far_p50_ms:.1f}"
        return {
            "system": self.name,
            "p50/p99 ms at 1": f"{self.p50_ms:.2f} / {self.p99_ms:.2f}",
            "added p50 ms": f"{self.added_p50_ms:.2f}",
            "mints/s at 32": f"{self.per_s:.0f}",
            "p99 ms at 32": f"{self.crowd_p99_ms:.1f}",
            "CPU ms/mint": f"{self.cpu_ms:.3f}",
            "RSS MB": f"{self.rss_mb:.0f}",
            "upstream conns/mint": opened,
            "50 ms upstream: mints/s / p50 ms": far,
            "failed": f"{self.failed}",
        }


def not_run(columns: Iterable[str], name: str, reason: str) -> dict[str, str]:
    """The row of a peer that there are no figures of; the last column is as wide as it needs to be."""
    first, *others, last = columns
    line = " ".join(reason.split())[:REASON_CHARACTERS]
    return {first: name} | dict.fromkeys(others, "–") | {last: f"not run: {line}"}


def figures_of(cells: Sequence[Cell]) -> list[Figures]:
    """In the order the systems were first asked."""
    names = list(dict.fromkeys(cell.system for cell in cells))
    direct = min(cell.p50_ms for cell in _of(cells, DIRECT, ALONE))
    return [_figures(name, cells, direct) for name in names]


def _figures(name: str, cells: Sequence[Cell], direct_p50_ms: float) -> Figures:
    alone, crowd, far = (_of(cells, name, shape) for shape in (ALONE, CROWD, FAR))
    mine = [*alone, *crowd, *far]
    p50 = min(cell.p50_ms for cell in alone)
    return Figures(
        name=name,
        p50_ms=p50,
        p99_ms=min(cell.p99_ms for cell in alone),
        added_p50_ms=p50 - direct_p50_ms,
        per_s=max(_rate(cell) for cell in crowd),
        crowd_p99_ms=min(cell.p99_ms for cell in crowd),
        cpu_ms=min(_each_ms(cell.cpu_s, cell) for cell in crowd),
        beside_cpu_ms=min(_each_ms(cell.beside_cpu_s, cell) for cell in crowd),
        rss_mb=max(cell.rss_bytes for cell in mine) / 1e6,
        connections=sum(cell.upstream_connections for cell in crowd)
        / max(1, sum(cell.answered for cell in crowd)),
        failed=sum(cell.failed for cell in mine),
        fault=next(filter(None, map(_fault, mine)), ""),
        far_per_s=max(map(_rate, far)) if far else None,
        far_p50_ms=min(cell.p50_ms for cell in far) if far else None,
    )


def _of(cells: Sequence[Cell], name: str, shape: Shape) -> list[Cell]:
    return [cell for cell in cells if cell.system == name and cell.shape == shape.name]


def _rate(cell: Cell) -> float:
    return cell.answered / cell.seconds


def _each_ms(cpu_s: float, cell: Cell) -> float:
    return cpu_s * 1000 / max(1, cell.answered)


def _fault(cell: Cell) -> str:
    """Why a cell's figures do not hold: answers failed, or were not Azure's."""
    if cell.failed:
        return f"{cell.failed} failed: {cell.failure}"
    if cell.upstream_mints < LEAST_ASKED * cell.answered:
        return f"answered {cell.answered} with {cell.upstream_mints} mints"
    return ""


def by_name(figures: Sequence[Figures]) -> Mapping[str, Figures]:
    return {one.name: one for one in figures}
