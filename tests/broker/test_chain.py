"""The chain: who is asked, how often, and what the caller learns."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from pydantic import SecretStr
from tenacity import wait_none

from broker.minting.chain import (
    ONE_QUICK_RETRY,
    MintChain,
    Misconfigured,
    OutOfTime,
    Throttled,
    Unavailable,
)
from broker.minting.outcomes import EphemeralToken, MintFailed, Verdict
from broker.minting.rows import failsafe_rows
from tests.broker.build import AZURE, KEY, SPEC

(FIRST,) = failsafe_rows(AZURE, "gpt-realtime", SecretStr(KEY))
SECOND = replace(FIRST, domain=replace(FIRST.domain, name="second"))
TOKEN = EphemeralToken("ek_1", 1_900_000_000, AZURE, f"{AZURE}/calls", "gpt-realtime", "direct")


class Scripted:
    """Answers each row from its own list of outcomes."""

    def __init__(self, **outcomes):
        self.outcomes = outcomes
        self.asked = []

    async def __call__(self, row, spec):
        self.asked.append(row.domain.name)
        outcome = self.outcomes[row.domain.name].pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


def chain(ask, *rows, **limits):
    return MintChain(rows, ask, retrying=ONE_QUICK_RETRY.copy(wait=wait_none()), **limits)


async def test_the_first_row_that_mints_is_the_only_one_asked():
    ask = Scripted(primary=[TOKEN])
    assert await chain(ask, FIRST, SECOND).mint(SPEC) is TOKEN
    assert ask.asked == ["primary"]


@pytest.mark.parametrize("verdict", [Verdict.TRANSIENT, Verdict.TIMEOUT])
async def test_a_passing_fault_is_tried_once_more_on_the_same_row(verdict):
    ask = Scripted(primary=[MintFailed(verdict), TOKEN])
    assert await chain(ask, FIRST, SECOND).mint(SPEC) is TOKEN
    assert ask.asked == ["primary", "primary"]


@pytest.mark.parametrize(
    "verdict", [Verdict.CREDENTIAL, Verdict.NO_SUCH_ROUTE, Verdict.THROTTLED, Verdict.BAD_ANSWER]
)
async def test_what_another_row_may_mend_moves_on_at_once(verdict):
    ask = Scripted(primary=[MintFailed(verdict)], second=[TOKEN])
    assert await chain(ask, FIRST, SECOND).mint(SPEC) is TOKEN
    assert ask.asked == ["primary", "second"]


@pytest.mark.parametrize("verdict", [Verdict.SESSION_REFUSED, Verdict.NO_SUCH_DEPLOYMENT])
async def test_what_no_row_can_mend_stops_the_chain(verdict):
    ask = Scripted(primary=[MintFailed(verdict)])
    with pytest.raises(Misconfigured):
        await chain(ask, FIRST, SECOND).mint(SPEC)
    assert ask.asked == ["primary"]


@pytest.mark.parametrize(
    ("failure", "error", "wait_s"),
    [
        (MintFailed(Verdict.THROTTLED, retry_after_s=7.0), Throttled, 7.0),
        (MintFailed(Verdict.THROTTLED), Throttled, 5.0),
        (MintFailed(Verdict.BAD_ANSWER), Unavailable, 2.0),
        (MintFailed(Verdict.CREDENTIAL), Misconfigured, None),
        (MintFailed(Verdict.UNKNOWN), Misconfigured, None),
    ],
)
async def test_the_caller_learns_what_kind_of_failure_it_was(failure, error, wait_s):
    with pytest.raises(error) as caught:
        await chain(Scripted(primary=[failure]), FIRST).mint(SPEC)
    assert caught.value.retry_after_s == wait_s


async def test_every_attempt_is_reported():
    ask = Scripted(
        primary=[MintFailed(Verdict.CREDENTIAL, status=401, request_id="r-1")],
        second=[MintFailed(Verdict.THROTTLED, status=429)],
    )
    with pytest.raises(Throttled) as caught:
        await chain(ask, FIRST, SECOND).mint(SPEC)
    assert [(a.row, a.verdict, a.status, a.request_id) for a in caught.value.attempts] == [
        ("primary/direct/ga/key", Verdict.CREDENTIAL, 401, "r-1"),
        ("second/direct/ga/key", Verdict.THROTTLED, 429, None),
    ]


async def never(_row, _spec):
    await asyncio.Event().wait()


async def test_a_row_that_never_answers_costs_one_attempt_and_one_retry():
    with pytest.raises(OutOfTime):
        await chain(never, FIRST, attempt_s=0.01).mint(SPEC)


async def test_the_deadline_ends_the_chain():
    with pytest.raises(OutOfTime) as caught:
        await chain(never, FIRST, deadline_s=0.01).mint(SPEC)
    assert caught.value.retry_after_s == 2.0


async def test_a_bug_surfaces():
    with pytest.raises(KeyError):
        await chain(Scripted(primary=[KeyError("value")]), FIRST, SECOND).mint(SPEC)


async def test_an_empty_chain_says_that_it_is_misconfigured():
    with pytest.raises(Misconfigured):
        await chain(Scripted()).mint(SPEC)
