"""The mint bench counts what was minted, says who did not run, and misses a bar when one is missed."""

from __future__ import annotations

import sys

import pytest

from tests.bench.mint.bars import bars_of
from tests.bench.mint.callers import Wish
from tests.bench.mint.figures import by_name, figures_of, not_run
from tests.bench.mint.processes import Cores, Program, started
from tests.bench.mint.rounds import ALONE, CROWD, Cell, Upstream, callers
from tests.bench.mint.systems import DIRECT, FLOOR, OURS, OURS_GUARDED, OURS_UNGUARDED, OURS_WITHOUT_MEMORY
from tests.bench.mint.upstream import MINT
from tests.local.processes import NotStarted, free_port


def cell(system, shape, **changed):
    usual = {
        "answered": 1000,
        "failed": 0,
        "failure": "",
        "seconds": 1.0,
        "p50_ms": 0.5,
        "p99_ms": 2.0,
        "cpu_s": 0.3,
        "beside_cpu_s": 0.0,
        "rss_bytes": 50_000_000,
        "upstream_mints": 1000,
        "upstream_connections": 1,
    }
    return Cell(system=system, shape=shape.name, **(usual | changed))


def cells(**ours):
    names = (DIRECT, FLOOR, OURS, OURS_WITHOUT_MEMORY, OURS_GUARDED, OURS_UNGUARDED, "peer")
    made = [cell(name, shape) for name in names for shape in (ALONE, CROWD)]
    changed = [cell(OURS, CROWD, **({"answered": 2000, "upstream_mints": 2000} | ours))]
    return [one for one in made if (one.system, one.shape) != (OURS, CROWD.name)] + changed


def missed(seen, peers=("peer",), wanted=1):
    bars = bars_of(by_name(figures_of(seen)), peers, peers_wanted=wanted)
    return [bar.promise for bar in bars if not bar.is_met]


def test_a_broker_ahead_of_its_peers_misses_nothing():
    assert missed(cells()) == []


@pytest.mark.parametrize(
    ("ours", "promise"),
    [
        ({"rss_bytes": 91_000_000}, "RSS"),
        ({"upstream_connections": 100}, "connections"),
        ({"cpu_s": 0.7}, "less CPU"),
        ({"answered": 900}, "more mints/s"),
        ({"answered": 300, "cpu_s": 0.01}, "of the floor's"),
        ({"upstream_mints": 10}, "just minted"),
        ({"failed": 1}, "just minted"),
    ],
)
def test_what_falls_short_is_missed(ours, promise):
    assert any(promise in bar for bar in missed(cells(**ours)))


def test_a_bench_without_any_peer_that_ran_is_not_a_win():
    assert missed(cells(), peers=(), wanted=4) == ["against the peers"]
    assert missed(cells(), peers=(), wanted=0) == []


def test_the_best_round_counts():
    seen = [*cells(), cell(DIRECT, ALONE, p50_ms=0.2), cell(OURS, ALONE, p50_ms=0.4)]
    assert by_name(figures_of(seen))[OURS].added_p50_ms == pytest.approx(0.2)


def test_who_did_not_run_says_why_in_the_last_column():
    columns = figures_of(cells())[0].row()
    row = not_run(columns, "litellm", "no such\n version")
    assert list(row) == list(columns)
    assert list(row.values())[-1] == "not run: no such version"


async def test_callers_and_upstream_count_the_same(tmp_path):
    port = free_port()
    url, cores = f"http://127.0.0.1:{port}", Cores.of_this_machine()
    command = [sys.executable, "-m", "tests.bench.mint.upstream", "--port", str(port)]
    program = Program("upstream", command, url, cores.others)
    async with started(program, tmp_path) as process, callers(cores) as asking:
        mints, connections = await Upstream(url).counts()
        told = await asking.ask(Wish(f"{url}{MINT}", {}, "{}", '"ek_', callers=3, seconds=0.2))
        after = await Upstream(url).counts()
        assert process.usage().rss_bytes > 0
    assert told["answered"] == after[0] - mints > 0
    assert after[1] - connections == 3
    assert told["failed"] == 0


async def test_a_program_that_ends_is_not_waited_for(tmp_path):
    command = [sys.executable, "-c", "raise SystemExit('no such model')"]
    program = Program("peer", command, "http://127.0.0.1:9", Cores.of_this_machine().others)
    with pytest.raises(NotStarted, match="no such model"):
        async with started(program, tmp_path):
            pass
