"""The enrichment bench counts what was answered, misses a bar when one is missed, and its short parts run."""

from __future__ import annotations

import json

import pytest

from enrichment.outbox.sqlite import SqliteOutbox
from tests.bench.enrich.bars import CONTEXTS, bars_of, rows_of
from tests.bench.enrich.pages import TURNS, pages
from tests.bench.enrich.rounds import AT_RATE, FEW, MANY, SHORT, Figures
from tests.bench.enrich.stage import KEYS, Broken, Place, engine, floor, keys, served

EPISODE = "episode of 1000 turns"


def posted(turns, p99_ms=10.0):
    return read(p99_ms) | {"turns": turns, "cpu_s": 0.5}


def read(ms):
    return {"turns": 0, "seconds": 1.0, "failed": 0, "p50_ms": ms, "p95_ms": ms, "p99_ms": ms}


def figures(**changed):
    told = {
        FEW: posted(6_000),
        MANY: posted(5_000),
        f"engine alone: {FEW}": {"turns": 8_000, "seconds": 1.0},
        f"engine alone: {MANY}": {"turns": 8_000, "seconds": 1.0},
        AT_RATE: posted(1_000),
        "delivery": {"turns": 5_000, "seconds": 1.0},
        EPISODE: read(10.0),
        **{name: read(10.0) for name in CONTEXTS},
    }
    made = Figures("sqlite", SHORT)
    for name, cell in (told | changed).items():
        made.add(name, cell)
    return made


def missed(seen):
    return [bar.promise for bar in bars_of(seen) if not bar.is_met]


def test_a_service_that_keeps_its_promises_misses_nothing():
    assert missed(figures()) == []
    assert len(rows_of(figures())) == 10


@pytest.mark.parametrize(
    ("changed", "promise"),
    [
        ({AT_RATE: posted(1_000, p99_ms=51.0)}, "p99 at most 50 ms"),
        ({AT_RATE: posted(900)}, "p99 at most 50 ms"),
        ({FEW: posted(2_400), MANY: posted(2_400)}, "accepted turns/s"),
        ({f"engine alone: {FEW}": {"turns": 20_000, "seconds": 1.0}} | {MANY: posted(4_000)}, "of the bare"),
        ({"delivery": {"turns": 1_999, "seconds": 1.0}}, "delivery"),
        ({EPISODE: read(51.0)}, "an episode"),
        ({CONTEXTS[0]: read(51.0)}, "context, cold"),
        ({CONTEXTS[2]: read(51.0)}, "context, session goes on"),
    ],
)
def test_what_falls_short_is_missed(changed, promise):
    assert any(promise in bar for bar in missed(figures(**changed)))


def test_the_best_round_counts():
    seen = figures()
    seen.add(AT_RATE, posted(1_000, p99_ms=5.0))
    seen.add(FEW, posted(7_000))
    assert seen.ms(AT_RATE, 99) == 5.0
    assert seen.rate(FEW) == 7_000


def test_a_post_that_failed_is_no_figure():
    with pytest.raises(Broken, match="HTTP 503"):
        figures().add(FEW, posted(6_000) | {"failed": 1, "failure": "HTTP 503"})


def test_pages_send_sessions_whose_turns_follow_each_other():
    page = next(pages(KEYS, "test"))
    turns = [turn for body in page.bodies(2) for turn in json.loads(body)["turns"]]
    assert len(turns) == TURNS
    assert [turn["previous_turn_id"] for turn in turns] == [None, *(turn["turn_id"] for turn in turns[:-1])]
    assert [turn.turn_id for turns in page.posts(2) for turn in turns] == [turn["turn_id"] for turn in turns]


async def test_what_is_counted_is_what_is_kept(tmp_path):
    async with keys() as url:
        place = Place(tmp_path, url)
        async with served(place) as service:
            closed = await service.ask(name="closed", connections=4, seconds=0.2)
            opened = await service.ask(name="opened", connections=4, seconds=0.3, rate=50.0)
            await service.drained()
            page = next(pages(KEYS, "closed"))
            got = await service.ask(gets=[(f"/memory/episodes/{page.session_id}", page.grant)])
            refused = await service.ask(gets=[("/memory/episodes/none", page.grant)])
    assert closed["failed"] == opened["failed"] == got["failed"] == 0
    assert (got["answered"], got["turns"], refused["failed"]) == (1, 0, 1)
    outbox = SqliteOutbox(tmp_path / "outbox.db")
    kept = sum(line.delivered for line in await outbox.lines(state=None, limit=10_000))
    await outbox.close()
    assert kept == closed["turns"] + opened["turns"] > 0


async def test_the_engine_alone_and_http_alone_are_measured_alike(tmp_path):
    async with keys() as url:
        place = Place(tmp_path, url)
        shape = {"name": "alone", "connections": 4, "seconds": 0.2, "per_post": 2}
        assert (await engine(place, "bare", **shape))["turns"] > 0
        async with floor(place) as nothing:
            assert (await nothing.ask(**shape))["turns"] > 0
