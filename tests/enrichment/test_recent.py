"""What was recalled is kept for a minute, and never beyond what memory knows by now."""

from __future__ import annotations

import pytest

from enrichment.pseudonym import hashed
from enrichment.recent import FRESH_S, MOST_PEOPLE, Recent
from tests.clocks import Clock
from tests.enrichment.service import delivered, grant, said, service


class Source:
    """Gives 1, 2, 3 … each time it is read; ``meanwhile`` happens during a read."""

    def __init__(self):
        self.reads = 0
        self.meanwhile = lambda: None

    async def __call__(self):
        self.reads += 1
        self.meanwhile()
        return self.reads


@pytest.fixture
def source():
    return Source()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def recent(clock):
    return Recent(clock)


async def test_within_a_minute_a_person_is_read_once(recent, clock, source):
    assert [await recent.get("p", source), await recent.get("p", source)] == [1, 1]
    clock.pass_s(FRESH_S)
    assert await recent.get("p", source) == 2


async def test_a_person_whose_memory_changed_is_read_again(recent, source):
    await recent.get("p", source)
    recent.forget("p")
    assert await recent.get("p", source) == 2


async def test_whom_another_replica_forgot_is_read_again_and_nobody_else(recent, source):
    await recent.get("p", source)
    await recent.get("q", source)
    recent.forget_hashed(hashed("p"))
    assert [await recent.get("p", source), await recent.get("q", source)] == [3, 2]
    recent.forget_hashed(None)
    assert await recent.get("q", source) == 4


async def test_one_person_never_gets_what_is_another_s(recent, source):
    assert [await recent.get("p", source), await recent.get("q", source)] == [1, 2]


async def test_what_changed_while_it_was_being_read_is_not_kept(recent, source):
    source.meanwhile = lambda: recent.forget("p")
    assert [await recent.get("p", source), await recent.get("p", source)] == [1, 2]


async def test_a_failed_read_is_not_kept(recent, source):
    def fail():
        raise OSError("down")

    source.meanwhile = fail
    with pytest.raises(OSError, match="down"):
        await recent.get("p", source)
    source.meanwhile = lambda: None
    assert await recent.get("p", source) == 2


async def test_only_so_many_people_are_kept(recent, source):
    for number in range(MOST_PEOPLE + 1):
        await recent.get(f"p{number}", source)
    assert await recent.get("p1", source) == 2
    assert await recent.get("p0", source) == MOST_PEOPLE + 2


async def test_what_was_just_said_is_known_in_a_call_that_begins_at_once(tmp_path, keys):
    async with service(tmp_path) as client:
        for turn_id, text in (("u1", "I like tea"), ("u2", "I like trains")):
            posted = {"grant": grant("poc-user"), "turns": [said(turn_id, text)]}
            await client.post("/memory/enrich", json=posted)
            await delivered(client, "s-1", int(turn_id[1:]))
            facts = (await client.get("/memory/context")).json()["facts"]
            assert text in facts[0]
