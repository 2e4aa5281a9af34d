"""The chain against hundreds of seeded days of faults, in virtual time.

One region may do whatever it likes; as long as the other one works, every caller gets a token, soon. The
control shows that the test can fail: with one region alone the faults are felt.
"""

from __future__ import annotations

import asyncio
import random
from itertools import pairwise

import pytest

from broker.minting.no_token import NoToken
from broker.minting.outcomes import MintFailed, Verdict
from tests.broker.build import SPEC
from tests.broker.upstreams import Upstream, chain_of, domain, lognormal, rows_of, token
from tests.virtual_time import run_virtual

SEEDS = range(30)
REQUESTS, EVERY_S = 150, 2.0
A, B = domain("a"), domain("b")


def brownout(rng, _at):
    return Verdict.TRANSIENT if rng.random() < 0.3 else None


def storm(_rng, _at):
    return MintFailed(Verdict.THROTTLED, retry_after_s=20)


def black_hole(_rng, _at):
    return "silence"


def rotated_key(_rng, _at):
    return Verdict.CREDENTIAL


def rubbish(rng, _at):
    return Verdict.BAD_ANSWER if rng.random() < 0.5 else None


def refused(_rng, _at):
    return Verdict.UNREACHABLE


FAULTS = {fault.__name__: fault for fault in (brownout, storm, black_hole, rotated_key, rubbish, refused)}


def schedule(fault, seed):
    """Faults in region A for 60 s, three times in the run, at seeded moments; a little noise everywhere."""
    rng = random.Random(seed)
    starts = [rng.uniform(0, REQUESTS * EVERY_S) for _ in range(3)]

    def behaviour(row, at):
        if row.strategy.label != "direct":
            return Verdict.NO_SUCH_ROUTE
        if row.domain is A and any(start <= at < start + 60 for start in starts):
            said = fault(rng, at)
            if said is not None:
                return None if said == "silence" else said
        return Verdict.TRANSIENT if rng.random() < 0.0013 else token(row)

    return behaviour


async def day(seed, fault, *domains):
    """How long each request took; None for one that got no token. And the upstream that was asked."""
    upstream = Upstream(schedule(fault, seed), lognormal(seed))
    chain = chain_of(rows_of(*domains), upstream)
    loop = asyncio.get_running_loop()

    async def request(number):
        await asyncio.sleep(number * EVERY_S)
        began = loop.time()
        try:
            await chain.mint(SPEC)
        except NoToken:
            return None
        return loop.time() - began

    return await asyncio.gather(*(request(number) for number in range(REQUESTS))), upstream


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_a_region_in_trouble_costs_nobody_their_token(fault):
    times, asked = [], 0
    for seed in SEEDS:
        took, upstream = run_virtual(day(seed, fault, A, B))
        times += took
        asked += len(upstream.asked)
    assert None not in times
    assert sorted(times)[int(len(times) * 0.99)] <= 1.0
    assert max(times) <= 8.0
    assert asked / len(times) <= 1.2


def test_no_caller_is_sent_to_a_throttled_region_before_its_time():
    for seed in SEEDS:
        _, upstream = run_virtual(day(seed, storm, A, B))
        at_a = [at for at, row in upstream.asked if row.domain is A and row.strategy.label == "direct"]
        behaviour = schedule(storm, seed)
        stormy = [at for at in at_a if isinstance(behaviour_at(behaviour, at), MintFailed)]
        assert all(later - earlier >= 19.999 for earlier, later in pairwise(stormy))


def behaviour_at(behaviour, at):
    return behaviour(rows_of(A)[0], at)


def test_one_region_alone_shows_that_this_can_fail():
    lost = 0
    for seed in SEEDS[:10]:
        took, _ = run_virtual(day(seed, black_hole, A))
        lost += took.count(None)
    assert lost > 0
