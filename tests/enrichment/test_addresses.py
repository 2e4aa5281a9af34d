"""Where somebody else keeps what is ours."""

from __future__ import annotations

import pytest

from enrichment.memory.addresses import SqliteAddresses
from tests.clocks import Clock


@pytest.fixture
async def addresses(tmp_path):
    addresses = SqliteAddresses(tmp_path / "addresses.db", now=Clock(7.0))
    yield addresses
    await addresses.close()


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
    assert (await addresses.under("pX/"))[0].kept_at == 7.0


async def test_forgetting_takes_the_one_or_all_under_it_and_nothing_else(addresses):
    for key in ("p/s-1", "p/s-10", "q/s-1"):
        await addresses.keep(key, "x")
    await addresses.forget("p/s-1")
    await addresses.forget("never kept")
    assert await keys(addresses, "") == ["p/s-10", "q/s-1"]
    await addresses.forget_under("p/")
    assert await keys(addresses, "") == ["q/s-1"]


async def test_what_is_kept_outlives_the_process(addresses, tmp_path):
    await addresses.keep("a", "1")
    again = SqliteAddresses(tmp_path / "addresses.db")
    assert await again.get("a") == "1"
    await again.close()
