"""The chain in virtual time: who is asked, in which order, how long it takes, and what the caller learns."""

from __future__ import annotations

import asyncio

import pytest

from broker.minting.budget import Hedging
from broker.minting.chain import MOST_PANICKING
from broker.minting.credentials import ApiKey
from broker.minting.health import Standing
from broker.minting.no_token import Misconfigured, NoToken, OutOfTime, Throttled, Unavailable
from broker.minting.outcomes import MintFailed, Part, Verdict
from broker.minting.race import MOST_ATTEMPTS
from tests.broker.build import SPEC
from tests.broker.upstreams import KEY, Upstream, chain_of, domain, rows_of, token
from tests.virtual_time import run_virtual

A, B = domain("a"), domain("b")


def now():
    return asyncio.get_running_loop().time()


def minting(*domains, behaviour, api_version=None, **limits):
    """A chain over these domains and the upstream it asks."""
    upstream = Upstream(behaviour)
    return chain_of(rows_of(*domains, api_version=api_version), upstream, **limits), upstream


async def outcome(chain, spec=SPEC):
    """The token's strategy, or the error; and how long it took."""
    began = now()
    try:
        return (await chain.mint(spec)).endpoint, now() - began
    except NoToken as exc:
        return exc, now() - began


def test_the_first_row_that_mints_is_the_only_one_asked():
    async def main():
        chain, upstream = minting(A, B, behaviour=lambda row, _: token(row))
        assert (await chain.mint(SPEC)).strategy == "direct"
        assert upstream.names() == ["a/direct/ga/key"]

    run_virtual(main())


def test_who_minted_last_is_asked_first():
    async def main():
        chain, upstream = minting(
            A, B, behaviour=lambda row, _: token(row) if row.domain is B else Verdict.BAD_ANSWER
        )
        await chain.mint(SPEC)
        upstream.asked.clear()
        for _ in range(5):
            await chain.mint(SPEC)
        assert upstream.per_domain() == {"b": 5}

    run_virtual(main())


@pytest.mark.parametrize("verdict", [Verdict.TRANSIENT, Verdict.UNREACHABLE, Verdict.THROTTLED])
def test_what_is_about_a_domain_moves_to_another_domain(verdict):
    async def main():
        chain, upstream = minting(A, B, behaviour=lambda row, _: token(row) if row.domain is B else verdict)
        await chain.mint(SPEC)
        assert [name.split("/")[0] for name in upstream.names()] == ["a", "b"]

    run_virtual(main())


def test_a_refused_credential_moves_to_the_next_one_of_the_same_domain():
    second = ApiKey(KEY.key, "key 2")
    both = domain("a", KEY, second)

    async def main():
        chain, upstream = minting(
            both, behaviour=lambda row, _: token(row) if row.credential is second else Verdict.CREDENTIAL
        )
        await chain.mint(SPEC)
        assert upstream.names() == ["a/direct/ga/key", "a/direct/ga/key 2"]
        await chain.mint(SPEC)
        assert upstream.names()[2:] == ["a/direct/ga/key 2"]

    run_virtual(main())


def test_an_unknown_route_moves_to_the_next_shape_and_is_not_asked_again():
    async def main():
        chain, upstream = minting(
            A,
            behaviour=lambda row, _: token(row) if row.strategy.label == "unified" else Verdict.NO_SUCH_ROUTE,
        )
        for _ in range(3):
            await chain.mint(SPEC)
        assert upstream.names() == ["a/direct/ga/key", *["a/unified/ga/key"] * 3]

    run_virtual(main())


def test_two_shapes_that_agree_on_a_bad_session_stop_the_chain():
    async def main():
        chain, upstream = minting(A, B, behaviour=lambda *_: Verdict.SESSION_REFUSED)
        error, _ = await outcome(chain)
        assert isinstance(error, Misconfigured)
        assert len(upstream.asked) == 2
        assert all(chain.health.standing(row) is Standing.READY for row in chain.health.rows)

    run_virtual(main())


def test_a_throttled_domain_is_left_alone_for_as_long_as_it_asked():
    async def main():
        def behaviour(row, _):
            return MintFailed(Verdict.THROTTLED, retry_after_s=30) if row.domain is A else token(row)

        chain, upstream = minting(A, B, behaviour=behaviour)
        for _ in range(20):
            await chain.mint(SPEC)
            await asyncio.sleep(1)
        assert upstream.per_domain()["a"] == 1

    run_virtual(main())


def test_a_single_throttled_domain_is_waited_for_when_that_is_short():
    async def main():
        def behaviour(row, at):
            return MintFailed(Verdict.THROTTLED, retry_after_s=2) if at < 1 else token(row)

        chain, upstream = minting(A, behaviour=behaviour)
        endpoint, took_s = await outcome(chain)
        assert endpoint == A.endpoint
        assert 2 < took_s < 3
        assert len(upstream.asked) == 2

    run_virtual(main())


def test_a_token_that_was_asked_for_before_a_429_does_not_lift_it():
    async def main():
        def behaviour(row, at):
            is_well = at == 0 or row.domain is B
            return token(row) if is_well else MintFailed(Verdict.THROTTLED, retry_after_s=30)

        chain, upstream = minting(A, B, behaviour=behaviour)
        early = asyncio.create_task(outcome(chain))
        await asyncio.sleep(0.1)
        await outcome(chain)
        await early
        for _ in range(10):
            await outcome(chain)
        assert upstream.per_domain()["a"] == 2

    run_virtual(main())


def test_a_caller_whose_rows_all_failed_waits_for_the_quota_that_comes_back():
    async def main():
        def behaviour(row, at):
            if row.domain is A:
                return Verdict.BAD_ANSWER
            return MintFailed(Verdict.THROTTLED, retry_after_s=2) if at < 1 else token(row)

        chain, _ = minting(A, B, behaviour=behaviour)
        endpoint, took_s = await outcome(chain)
        assert endpoint == B.endpoint
        assert 2 < took_s < 4

    run_virtual(main())


def test_a_single_throttled_domain_is_not_waited_for_when_that_is_long():
    async def main():
        chain, upstream = minting(A, behaviour=lambda *_: MintFailed(Verdict.THROTTLED, retry_after_s=40))
        await outcome(chain)
        asked = len(upstream.asked)
        error, took_s = await outcome(chain)
        assert isinstance(error, Throttled)
        assert 39 < error.retry_after_s < 50
        assert took_s < 0.1
        assert len(upstream.asked) == asked

    run_virtual(main())


def test_a_slow_row_is_hedged_by_one_of_another_domain():
    async def main():
        chain, _ = minting(A, B, behaviour=lambda row, _: token(row) if row.domain is B else None)
        endpoint, took_s = await outcome(chain)
        assert endpoint == B.endpoint
        assert took_s == pytest.approx(0.75 + 0.18)
        endpoint, took_s = await outcome(chain)
        assert took_s == pytest.approx(0.18)

    run_virtual(main())


def test_a_hedge_comes_sooner_once_it_is_known_how_long_a_mint_takes():
    async def main():
        slow_from = 10.0
        chain, _ = minting(
            A, B, behaviour=lambda row, at: None if row.domain is A and at > slow_from else token(row)
        )
        while now() < slow_from:
            await chain.mint(SPEC)
        _, took_s = await outcome(chain)
        assert took_s == pytest.approx(0.3 + 0.18, abs=0.02)

    run_virtual(main())


def test_hedges_are_paid_from_a_budget():
    hedging = Hedging()
    assert [hedging.take("a", 0.0) for _ in range(11)] == [True] * 10 + [False]
    for _ in range(25):
        hedging.minted(0.2)
    assert [hedging.take("a", 0.0) for _ in range(3)] == [True, True, False]


def test_a_domain_that_keeps_losing_is_left_without_using_up_the_budget():
    hedging = Hedging()
    for _ in range(2):
        hedging.won_over("a", 10.0)
    assert all(hedging.take("a", 11.0) for _ in range(100))
    assert [hedging.take("a", 13.0) for _ in range(11)][-1] is False


def test_the_loser_of_a_hedge_is_cancelled_and_its_token_never_read():
    async def main():
        chain, _ = minting(A, B, behaviour=lambda row, _: token(row) if row.domain is B else None)
        await chain.mint(SPEC)
        await asyncio.sleep(0)
        assert [task for task in asyncio.all_tasks() if task.get_name().startswith("mint by")] == []

    run_virtual(main())


def test_one_attempt_is_the_most_that_a_hanging_row_costs():
    async def main():
        chain, _ = minting(A, behaviour=lambda row, _: None if row.strategy.label == "direct" else token(row))
        _, took_s = await outcome(chain)
        assert took_s == pytest.approx(0.75 + 0.18)  # another way into the same domain, beside it

    run_virtual(main())


def test_the_deadline_and_the_number_of_attempts_are_bounds():
    async def main():
        chain, upstream = minting(A, B, domain("c"), behaviour=lambda *_: None)
        error, took_s = await outcome(chain)
        assert isinstance(error, OutOfTime | Unavailable)
        assert took_s <= 8.0
        assert len(upstream.asked) <= MOST_ATTEMPTS

    run_virtual(main())


def test_rows_that_can_never_work_use_up_no_attempts_of_the_one_that_can():
    def behaviour(row, at):
        if not row.name.startswith(("a/direct/ga", "b/direct/ga")):
            return Verdict.NO_SUCH_ROUTE
        return None if at < 1.0 else token(row)

    async def main():
        chain, upstream = minting(A, B, behaviour=behaviour, api_version="2025-04-01-preview")
        endpoint, _ = await outcome(chain)
        assert len(upstream.asked) > MOST_ATTEMPTS
        assert endpoint in {A.endpoint, B.endpoint}

    run_virtual(main())


def test_a_lonely_row_is_tried_once_more_after_a_passing_fault():
    async def main():
        upstream = Upstream(lambda row, at: Verdict.TRANSIENT if at < 0.1 else token(row))
        chain = chain_of(rows_of(A)[:1], upstream)
        endpoint, took_s = await outcome(chain)
        assert endpoint == A.endpoint
        assert took_s < 1

    run_virtual(main())


def test_with_everything_dark_most_callers_are_told_at_once_and_few_keep_trying():
    async def main():
        chain, upstream = minting(A, B, behaviour=lambda *_: None)
        while chain.health.in_order(Standing.READY):
            await outcome(chain)
        before = len(upstream.asked)
        results = await asyncio.gather(*(outcome(chain) for _ in range(50)))
        quick = [error for error, took_s in results if took_s < 0.1]
        assert len(quick) == 50 - MOST_PANICKING
        assert all(isinstance(error, Unavailable) and error.retry_after_s >= 1 for error in quick)
        assert len(upstream.asked) - before <= MOST_PANICKING * 2

    run_virtual(main())


class NoIdentity:
    """A managed identity that never gets a token."""

    name = "identity"

    def headers(self):
        raise MintFailed(Verdict.NOT_READY)

    def audience_refused(self):
        pass


def test_after_a_dual_outage_callers_get_tokens_again_within_a_second():
    async def main():
        def behaviour(row, at):
            row.headers()
            if row.strategy.label != "direct":
                return Verdict.NO_SUCH_ROUTE
            return None if 20 <= at < 60 else token(row)

        rows = [domain(name, NoIdentity(), KEY) for name in "ab"]
        chain, _ = minting(*rows, behaviour=behaviour)
        failed_at = []

        async def caller(number):
            await asyncio.sleep(number / 30)
            began = now()
            if not isinstance((await outcome(chain))[0], str):
                failed_at.append(began)

        await asyncio.gather(*(caller(number) for number in range(30 * 70)))
        assert 59 < max(failed_at) < 61

    run_virtual(main())


def test_callers_who_wait_on_a_region_that_goes_dark_are_all_hedged():
    async def main():
        chain, _ = minting(
            A, B, behaviour=lambda row, at: None if row.domain is A and at > 20 else token(row)
        )

        async def caller(number):
            await asyncio.sleep(number / 60)
            return (await outcome(chain))[1]

        took_s = await asyncio.gather(*(caller(number) for number in range(60 * 25)))
        assert max(took_s) < 1.0

    run_virtual(main())


def test_the_first_success_ends_the_panic():
    async def main():
        chain, _ = minting(A, B, behaviour=lambda row, at: token(row) if at > 100 else None)
        while now() < 100:
            await outcome(chain)
            await asyncio.sleep(1)
        endpoint, _ = await outcome(chain)
        assert endpoint in {A.endpoint, B.endpoint}
        assert chain.health.in_order(Standing.READY)

    run_virtual(main())


def test_an_optional_part_that_is_refused_is_left_out_at_once_and_remembered():
    async def main():
        def behaviour(row, _):
            if Part.NOISE_REDUCTION not in upstream.bodies[-1]:
                return MintFailed(Verdict.REFUSED_PART, part=Part.NOISE_REDUCTION)
            return token(row)

        chain, upstream = minting(A, behaviour=behaviour)
        await chain.mint(SPEC)
        await chain.mint(SPEC)
        assert upstream.bodies == [frozenset(), {Part.NOISE_REDUCTION}, {Part.NOISE_REDUCTION}]

    run_virtual(main())


def test_a_500_that_is_about_the_transcription_is_asked_again_without_it():
    async def main():
        def behaviour(row, _):
            without = Part.TRANSCRIPTION in upstream.bodies[-1]
            return token(row) if without else MintFailed(Verdict.TRANSIENT, status=500)

        chain, upstream = minting(A, behaviour=behaviour)
        await chain.mint(SPEC)
        await chain.mint(SPEC)
        assert upstream.bodies == [frozenset(), {Part.TRANSCRIPTION}, {Part.TRANSCRIPTION}]

    run_virtual(main())


def test_a_500_of_a_domain_that_mints_with_transcription_is_an_ordinary_fault():
    async def main():
        def behaviour(row, at):
            return MintFailed(Verdict.TRANSIENT, status=500) if at > 1 and row.domain is A else token(row)

        chain, upstream = minting(A, B, behaviour=behaviour)
        await chain.mint(SPEC)
        await asyncio.sleep(2)
        await chain.mint(SPEC)
        assert upstream.bodies == [frozenset()] * 3

    run_virtual(main())


def test_every_attempt_is_reported_with_what_came_of_it():
    async def main():
        refused = MintFailed(Verdict.CREDENTIAL, status=401, request_id="r-1")
        chain, _ = minting(A, behaviour=lambda *_: refused)
        error, _ = await outcome(chain)
        assert isinstance(error, Misconfigured)
        (attempt,) = error.attempts
        assert (attempt.row, attempt.verdict, attempt.status) == ("a/direct/ga/key", Verdict.CREDENTIAL, 401)
        assert (attempt.request_id, attempt.ms) == ("r-1", 180)

    run_virtual(main())


def test_a_bug_surfaces_and_leaves_nobody_running():
    async def main():
        def behaviour(*_):
            raise KeyError("a bug")

        chain, _ = minting(A, B, behaviour=behaviour)
        with pytest.raises(KeyError):
            await chain.mint(SPEC)

    run_virtual(main())
