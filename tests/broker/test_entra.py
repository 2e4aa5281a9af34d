"""Entra's keys change and go away, and floods name keys that never were: who has a good token comes in."""

from __future__ import annotations

import asyncio
import base64
import json
import math
import secrets
from collections import Counter
from itertools import pairwise

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from broker.edge.entra import AUTHORITY, Registration, keys_of
from broker.edge.entra import Entra as SignIn
from broker.edge.problems import NotSignedIn, SignInUnverifiable
from tests.simulator.entra import CLIENT_ID, TENANT, Entra, as_jwk, key_pair
from tests.virtual_time import run_virtual

BEGIN = 1_795_000_000
STRANGER = key_pair(99)
SMALL = generate_private_key(public_exponent=65537, key_size=1024)


def now():
    return BEGIN + asyncio.get_running_loop().time()


class System:
    """A simulated tenant, a service's way in, and what everybody who asked got."""

    def __init__(self):
        self.entra = Entra(now)
        self.entra.takes_s = 0.3
        registration = Registration(frozenset({TENANT}), frozenset({CLIENT_ID}))
        self.sign_in = SignIn(
            registration, self.entra.fetch, now=now, monotonic=asyncio.get_running_loop().time
        )
        self.got = Counter()

    async def ask(self, token):
        try:
            await self.sign_in.tokens.read(token)
        except (NotSignedIn, SignInUnverifiable) as exc:
            self.got[type(exc)] += 1
        else:
            self.got["let in"] += 1

    async def person(self, number, *, renewed_s=900, every_s=7.0):
        """Asks all the time, a new token every quarter of an hour; each person begins at another time."""
        await asyncio.sleep(number * renewed_s / 40)
        while True:
            token = self.entra.token(oid=f"{number:08d}-0000-4000-8000-000000000000")
            for _ in range(int(renewed_s / every_s)):
                await self.ask(token)
                await asyncio.sleep(every_s)

    async def crowd(self, count=50):
        """So many people at once, who have all just signed in."""
        ids = [f"c{number:07d}-0000-4000-8000-000000000000" for number in range(count)]
        await asyncio.gather(*(self.ask(self.entra.token(oid=oid)) for oid in ids))

    async def run(self, seconds, *others):
        """40 people, what else there is, and the keys kept fresh, for so long."""
        people = (self.person(number) for number in range(40))
        tasks = [asyncio.create_task(each) for each in (self.sign_in.keep_fresh(), *people, *others)]
        await asyncio.sleep(seconds)
        ended = [task.exception() for task in tasks if task.done()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert not [error for error in ended if error]

    async def flood(self, count, seconds):
        """So many key ids that never were, one after the other."""
        made_up = self.entra.sign(self.entra.claims(exp=BEGIN + 10**7), STRANGER).split(".", 1)[1]
        for _ in range(count):
            await self.ask(f"{header_of(secrets.token_urlsafe(20))}.{made_up}")
            await asyncio.sleep(seconds / count)


def header_of(kid):
    header = json.dumps({"typ": "JWT", "kid": kid, "alg": "RS256"}).encode()
    return base64.urlsafe_b64encode(header).decode().rstrip("=")


def test_keys_roll_over_again_and_again_under_load_and_nobody_is_refused():
    async def main():
        system = System()

        async def emergencies():
            """Every ten minutes a new key signs at once; the oldest goes when its last token has run out."""
            while True:
                await asyncio.sleep(600)
                system.entra.roll_over()
                await system.crowd()
                if len(system.entra.keys) > 8:
                    system.entra.retire()

        await system.run(2 * 3600, emergencies())
        return system

    system = run_virtual(main())
    assert len(system.entra.keys) == 8
    assert system.got["let in"] > 30_000
    assert +system.got == {"let in": system.got["let in"]}


def test_key_sets_that_are_away_for_two_hours_cost_nobody_their_sign_in():
    async def main():
        system = System()

        async def outage():
            await asyncio.sleep(600)
            system.entra.is_down = True
            await asyncio.sleep(2 * 3600)
            system.entra.is_down = False

        await system.run(3 * 3600, outage())
        return system

    system = run_virtual(main())
    assert system.got["let in"] > 50_000
    assert +system.got == {"let in": system.got["let in"]}
    assert len(system.entra.fetched_at) < 3 + 2 * 60 + 6


def test_ten_thousand_made_up_key_ids_cause_a_fetch_a_minute_at_most_and_touch_nobody():
    async def main():
        system = System()
        await system.run(3_000, system.flood(10_000, 2_400))
        return system

    system = run_virtual(main())
    assert system.got[NotSignedIn] + system.got[SignInUnverifiable] == 10_000
    assert system.got["let in"] > 10_000
    at_start, *caused = system.entra.fetched_at
    assert at_start == BEGIN
    assert 35 <= len(caused) <= 41
    assert all(later - earlier >= 60 for earlier, later in pairwise(caused))


def test_a_rollover_in_the_middle_of_a_flood_refuses_nobody_and_lets_everybody_in_within_a_minute():
    async def main():
        system = System()
        await system.sign_in.tokens.read(system.entra.token())
        flood = asyncio.create_task(system.flood(2_000, 200))
        await asyncio.sleep(90)
        system.entra.roll_over()
        with pytest.raises(SignInUnverifiable) as caught:
            await system.sign_in.tokens.read(system.entra.token())
        await asyncio.sleep(math.ceil(caught.value.retry_after_s))  # as the header has it
        await system.crowd()
        flood.cancel()
        return caught.value.retry_after_s, system.got["let in"]

    wait_s, let_in = run_virtual(main())
    assert 1 <= wait_s <= 60
    assert let_in == 50


def test_keys_count_for_a_day_without_an_answer_and_then_nobody_is_refused_but_told_to_wait():
    async def main():
        entra_day = 24 * 3600
        system = System()
        keeping = asyncio.create_task(system.sign_in.keep_fresh())
        await asyncio.sleep(1)
        system.entra.is_down = True
        await asyncio.sleep(entra_day - 10)
        await system.ask(system.entra.token())
        await asyncio.sleep(20)
        await system.ask(system.entra.token())
        system.entra.is_down = False
        await asyncio.sleep(120)
        await system.ask(system.entra.token())
        keeping.cancel()
        return system

    assert run_virtual(main()).got == {"let in": 2, SignInUnverifiable: 1}


def test_who_comes_while_keys_are_being_fetched_waits_for_them_and_fetches_none():
    async def main():
        system = System()
        keeping = asyncio.create_task(system.sign_in.keep_fresh())
        await asyncio.sleep(0.1)
        await system.crowd()
        keeping.cancel()
        return system

    system = run_virtual(main())
    assert system.got == {"let in": 50}
    assert len(system.entra.fetched_at) == 1


def test_a_key_that_was_refused_before_it_was_published_is_not_refused_while_nobody_can_tell():
    async def main():
        system = System()
        early = system.entra.sign(system.entra.claims(), STRANGER)
        await system.ask(early)
        system.entra.is_down = True
        await asyncio.sleep(60)
        await system.ask(early)
        system.entra.is_down = False
        system.entra.keys.append(STRANGER)
        await asyncio.sleep(60)
        await system.ask(early)
        return system

    assert run_virtual(main()).got == {NotSignedIn: 1, SignInUnverifiable: 1, "let in": 1}


def test_a_service_that_starts_in_an_outage_asks_soon_and_then_every_minute():
    async def main():
        system = System()
        system.entra.is_down = True
        keeping = asyncio.create_task(system.sign_in.keep_fresh())
        await asyncio.sleep(600)
        await system.ask(system.entra.token())
        keeping.cancel()
        return system

    system = run_virtual(main())
    waits = [later - earlier for earlier, later in pairwise(system.entra.fetched_at)]
    assert [round(wait) for wait in waits[:7]] == [1, 2, 4, 8, 16, 32, 60]
    assert {round(wait) for wait in waits[7:-1]} == {60}
    assert +system.got == {SignInUnverifiable: 1}


def test_a_key_set_that_never_comes_is_waited_for_no_longer_than_two_seconds():
    async def main():
        system = System()

        async def never(_url):
            await asyncio.Event().wait()

        registration = Registration(frozenset({TENANT}), frozenset({CLIENT_ID}))
        loop = asyncio.get_running_loop()
        sign_in = SignIn(registration, never, now=now, monotonic=loop.time)
        tokens = [system.entra.token(oid=f"{n:08d}-0000-4000-8000-000000000000") for n in range(20)]
        asked = [sign_in.tokens.read(token) for token in tokens]
        got = await asyncio.gather(*asked, return_exceptions=True)
        return loop.time(), {type(each) for each in got}

    assert run_virtual(main()) == (2.0, {SignInUnverifiable})


GOOD = as_jwk(key_pair(0))
BAD_KEYS = {
    "small": as_jwk(SMALL),
    "for encryption": {"use": "enc"},
    "of another kind": {"kty": "EC"},
    "of another tenant": {"issuer": f"{AUTHORITY}/00000000-0000-4000-8000-000000000000/v2.0"},
    "without an id": {"kid": None},
    "without a modulus": {"n": None},
    "with rubbish for a modulus": {"n": "%%%"},
    "with a number for a modulus": {"n": 7},
}


@pytest.mark.parametrize("bad", BAD_KEYS.values(), ids=BAD_KEYS.keys())
def test_a_key_that_is_no_good_spoils_no_other_of_its_set(bad):
    spoiled = as_jwk(STRANGER) | bad
    assert keys_of({"keys": [spoiled, "rubbish", GOOD]}, tenant=TENANT).keys() == {GOOD["kid"]}
    with pytest.raises(ValueError, match="not a JSON Web Key Set"):
        keys_of({"keys": [spoiled]}, tenant=TENANT)


@pytest.mark.parametrize("sent", [None, [], {}, {"keys": None}, {"keys": []}, {"keys": {}}, "keys", 7])
def test_what_is_no_key_set_takes_nobody_s_keys_away(sent):
    with pytest.raises(ValueError, match="not a JSON Web Key Set"):
        keys_of(sent, tenant=TENANT)
