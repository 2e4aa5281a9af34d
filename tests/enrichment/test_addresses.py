"""Where somebody else keeps what is ours."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack

import pytest

from enrichment.memory.addresses import SqliteAddresses
from enrichment.memory.addresses_postgres import PostgresAddresses


@pytest.fixture(params=["sqlite", "postgres"])
async def another(request, tmp_path):
    """Opens one more, at each call, in the same place."""
    database = request.getfixturevalue("database") if request.param == "postgres" else None
    async with AsyncExitStack() as opened:

        async def another():
            if database is None:
                addresses = SqliteAddresses(tmp_path / "addresses.db")
            else:
                addresses = PostgresAddresses(database)
                await addresses.open()
            opened.push_async_callback(addresses.close)
            return addresses

        yield another


@pytest.fixture
async def addresses(another):
    return await another()


async def keys(addresses, prefix):
    return sorted(each.key for each in await addresses.under(prefix))


async def test_of_two_values_the_first_one_is_kept(addresses):
    assert await addresses.get("a") is None
    assert await addresses.keep("a", "1") == "1"
    assert await addresses.keep("a", "2") == "1"
    assert await addresses.get("a") == "1"


async def test_what_is_under_a_prefix_is_under_these_very_characters(addresses):
    for key in ("p_/a", "p_/b", "pX/c", "p_", "p%/d", "p_0"):
        await addresses.keep(key, key.upper())
    assert await keys(addresses, "p_/") == ["p_/a", "p_/b"]
    assert await keys(addresses, "p%") == ["p%/d"]
    assert 0 <= time.time() - (await addresses.under("pX/"))[0].kept_at < 60


async def test_forgetting_takes_the_one_or_all_under_it_and_nothing_else(addresses):
    for key in ("p/s-1", "p/s-10", "q/s-1"):
        await addresses.keep(key, "x")
    await addresses.forget("p/s-1")
    await addresses.forget("never kept")
    assert await keys(addresses, "") == ["p/s-10", "q/s-1"]
    await addresses.forget_under("p/")
    assert await keys(addresses, "") == ["q/s-1"]


async def test_what_is_kept_is_there_for_whoever_comes_later_or_elsewhere(addresses, another):
    await addresses.keep("a", "1")
    assert await (await another()).get("a") == "1"
    assert await (await another()).keep("a", "2") == "1"
