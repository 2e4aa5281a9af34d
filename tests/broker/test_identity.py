"""An Entra identity: always at hand, never waited for."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest
from azure.core.exceptions import ClientAuthenticationError

from broker.minting.credentials import SCOPES, Identity
from broker.minting.outcomes import MintFailed, Verdict
from tests.virtual_time import run_virtual

LIFE_S = 3600


@dataclass
class Token:
    token: str
    expires_on: int


class Source:
    """Gives a new token each time, or does what ``faults`` say first; None is never to answer."""

    def __init__(self, *faults):
        self.faults = list(faults)
        self.asked = []

    async def get_token(self, *scopes):
        now = asyncio.get_running_loop().time()
        self.asked.append((now, scopes[0]))
        if self.faults:
            fault = self.faults.pop(0)
            if fault is None:
                await asyncio.Event().wait()
            raise fault
        return Token(f"token {len(self.asked)}", int(now) + LIFE_S)


def identity(source):
    return Identity(source, now=asyncio.get_running_loop().time)


async def after(seconds, subject):
    """The header at that time, with the refresh running beside."""
    refreshing = asyncio.create_task(subject.keep_fresh())
    await asyncio.sleep(seconds)
    refreshing.cancel()
    return subject.headers()["Authorization"]


def test_before_there_is_a_token_a_mint_is_told_so_at_once():
    async def main():
        with pytest.raises(MintFailed) as caught:
            identity(Source()).headers()
        assert caught.value.verdict is Verdict.NOT_READY

    run_virtual(main())


def test_a_token_is_renewed_at_half_its_life():
    async def main():
        source = Source()
        assert await after(LIFE_S * 0.6, identity(source)) == "Bearer token 2"
        assert source.asked[1][0] == pytest.approx(LIFE_S / 2, rel=0.11)

    run_virtual(main())


def test_an_endpoint_that_never_answers_is_given_up_and_asked_again():
    async def main():
        source = Source(None, None)
        assert await after(60, identity(source)) == "Bearer token 3"

    run_virtual(main())


def test_an_outage_keeps_the_old_token_for_as_long_as_it_holds():
    async def main():
        source = Source()
        subject = identity(source)
        await after(1, subject)
        source.faults = [ClientAuthenticationError("no")] * 1000
        assert await after(LIFE_S - 120, subject) == "Bearer token 1"
        with pytest.raises(MintFailed):
            await after(120, subject)

    run_virtual(main())


def test_a_refused_audience_switches_the_scope_once_and_at_once():
    async def main():
        source = Source()
        subject = identity(source)
        refreshing = asyncio.create_task(subject.keep_fresh())
        await asyncio.sleep(1)
        for _ in range(3):
            subject.audience_refused()
            await asyncio.sleep(10)
        refreshing.cancel()
        assert [scope for _, scope in source.asked] == list(SCOPES)
        assert subject.headers() == {"Authorization": "Bearer token 2"}

    run_virtual(main())
