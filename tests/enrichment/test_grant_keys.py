"""The broker's public keys: fetched when needed, and no more often; and nobody is refused for the pause."""

from __future__ import annotations

import asyncio
import json

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from broker.edge.grants import (
    ALGORITHM,
    CLOCK_LEEWAY_S,
    LIFETIME_S,
    TYPE,
    BadGrant,
    GrantSigner,
    read_grant,
)
from broker.edge.jwks import MOST_SEEN, KeysUnavailable
from enrichment.grant_keys import PAUSE_S, Grants
from tests.clocks import Clock
from tests.enrichment.service import CLOCK, JWKS, SIGNER, grant, problem, said, service
from tests.virtual_time import run_virtual


def signer():
    return GrantSigner(Ed25519PrivateKey.generate(), environment="development", now=CLOCK)


def naming(kid):
    """What looks like a grant of the key ``kid`` until somebody checks its signature."""
    return jwt.encode({}, Ed25519PrivateKey.generate(), ALGORITHM, headers={"kid": kid, "typ": TYPE})


@pytest.fixture
def monotonic():
    return Clock(100.0)


@pytest.fixture
async def grants(monotonic):
    async with httpx.AsyncClient() as http:
        yield Grants(http, JWKS, environment="development", now=CLOCK, monotonic=monotonic)


async def test_while_the_broker_cannot_be_asked_for_its_keys_the_page_is_told_to_wait(tmp_path, respx_mock):
    respx_mock.get(JWKS).respond(503)
    async with service(tmp_path, auth_required=True) as client:
        body = {"grant": grant(), "turns": [said("u1")]}
        answer = problem(await client.post("/memory/enrich", json=body), 503, "grant-unverifiable")
        assert answer["retryable"] is True


async def in_pieces(text):
    yield text


def test_a_key_that_the_broker_took_back_counts_for_an_hour_at_most():
    """Nobody need come with a grant of another key before."""
    last, new = signer(), signer()
    told = {"keys": [*new.jwks()["keys"], *last.jwks()["keys"]]}
    fetched_at = []

    async def hours():
        loop = asyncio.get_running_loop()

        def answer(_request):
            fetched_at.append(loop.time())
            return httpx.Response(200, content=in_pieces(json.dumps(told).encode()))

        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
            grants = Grants(http, JWKS, environment="development", now=CLOCK, monotonic=loop.time)
            keeping = asyncio.create_task(grants.keep_fresh())
            assert (await grants.read(grant(signer=last))).person == "alice"
            told["keys"] = new.jwks()["keys"]
            await asyncio.sleep(3_601)
            with pytest.raises(BadGrant):
                await grants.read(grant(signer=last))
            assert (await grants.read(grant(signer=new))).person == "alice"
            keeping.cancel()

    run_virtual(hours())
    assert len([at for at in fetched_at if at < 3_601]) == 2


async def test_keys_are_fetched_once_for_many_grants(signed_in, keys):
    bodies = [{"grant": grant(session_id=f"s-{n}"), "turns": [said("u1")]} for n in range(20)]
    await asyncio.gather(*(signed_in.post("/memory/enrich", json=body) for body in bodies))
    assert keys.call_count == 1


async def test_made_up_key_ids_do_not_make_us_ask_the_broker_again_and_again(signed_in, keys):
    answers = []
    for _ in range(20):
        body = {"grant": grant(signer=signer()), "turns": [said("u1")]}
        answers.append(await signed_in.post("/memory/enrich", json=body))
    assert keys.call_count == 1
    problem(answers[0], 401, "not-signed-in")
    for answer in answers[1:]:  # any of them may be the broker's newest key
        problem(answer, 503, "grant-unverifiable")
        assert 1 <= int(answer.headers["Retry-After"]) <= PAUSE_S


async def test_a_new_key_is_taken_after_the_pause_and_never_refused_before(grants, keys, monotonic):
    assert (await grants.read(grant())).person == "alice"
    restarted = signer()
    keys.respond(200, json=restarted.jwks())
    monotonic.pass_s(3)
    with pytest.raises(KeysUnavailable) as caught:
        await grants.read(grant(signer=restarted))
    assert caught.value.retry_after_s == PAUSE_S - 3
    monotonic.pass_s(PAUSE_S - 3)
    assert (await grants.read(grant(signer=restarted))).person == "alice"


async def test_the_end_of_a_pause_is_not_waited_for_in_a_storm(grants, keys, monotonic):
    await grants.read(grant())
    monotonic.pass_s(PAUSE_S - 0.01)
    with pytest.raises(KeysUnavailable) as caught:
        await grants.read(grant(signer=signer()))
    assert caught.value.retry_after_s == 1


async def test_a_key_that_a_fetch_for_it_did_not_bring_is_refused_at_once(grants, keys, monotonic):
    stranger = grant(signer=signer())
    for _ in range(3):
        with pytest.raises(BadGrant):
            await grants.read(stranger)
    assert keys.call_count == 1
    monotonic.pass_s(PAUSE_S)
    with pytest.raises(BadGrant):
        await grants.read(stranger)
    assert keys.call_count == 2


async def test_a_fetch_made_for_another_key_answers_for_all_who_were_seen_before_it(grants, keys, monotonic):
    await grants.read(grant())
    waiting = grant(signer=signer())
    with pytest.raises(KeysUnavailable):
        await grants.read(waiting)
    monotonic.pass_s(PAUSE_S)
    for stranger in (grant(signer=signer()), waiting):
        with pytest.raises(BadGrant):
            await grants.read(stranger)
    assert keys.call_count == 2


async def test_made_up_key_ids_are_not_remembered_without_bound(grants, keys):
    for number in range(MOST_SEEN + 5):
        with pytest.raises((BadGrant, KeysUnavailable)):
            await grants.read(naming(f"made-up-{number}"))
    assert len(grants._keys._seen) == MOST_SEEN


async def test_a_key_id_as_long_as_no_key_of_ours_is_refused_unseen(grants, keys):
    with pytest.raises(BadGrant):
        await grants.read(naming("x" * 30_000))
    assert (keys.call_count, len(grants._keys._seen)) == (0, 0)


async def test_a_failed_fetch_refuses_nobody(grants, respx_mock, monotonic):
    keys = respx_mock.get(JWKS).respond(503)
    for _ in range(2):
        with pytest.raises(KeysUnavailable) as caught:
            await grants.read(grant())
        assert caught.value.retry_after_s == 1
    assert keys.call_count == 1
    keys.respond(200, json=SIGNER.jwks())
    monotonic.pass_s(1)
    assert (await grants.read(grant())).session_id == "s-1"


async def test_after_a_failed_fetch_the_keys_of_before_still_hold(grants, keys, monotonic):
    await grants.read(grant())
    monotonic.pass_s(PAUSE_S)
    keys.respond(503)
    with pytest.raises(KeysUnavailable):
        await grants.read(grant(signer=signer()))
    assert (await grants.read(grant())).person == "alice"


async def test_without_an_address_for_keys_no_grant_is_good():
    async with httpx.AsyncClient() as http:
        with pytest.raises(BadGrant):
            await Grants(http, None, environment="development", now=CLOCK).read(grant())


async def test_a_grant_s_signature_is_checked_once_and_its_time_always(grants, keys, monkeypatch):
    known = grant()
    checked = []

    def check(*args, **kwargs):
        checked.append(args[0])
        return read_grant(*args, **kwargs)

    monkeypatch.setattr("enrichment.grant_keys.read_grant", check)
    await grants.read(known)
    before = len(checked)
    assert (await grants.read(known)).person == "alice"
    assert len(checked) == before
    grants._now = lambda: CLOCK() + LIFETIME_S + CLOCK_LEEWAY_S
    with pytest.raises(BadGrant):
        await grants.read(known)


async def test_a_grant_of_a_key_that_is_gone_proves_nothing_any_more(grants, respx_mock, monotonic):
    keys = respx_mock.get(JWKS).respond(200, json=SIGNER.jwks())
    await grants.read(grant())
    keys.respond(200, json=signer().jwks())
    monotonic.pass_s(PAUSE_S)
    with pytest.raises(BadGrant):
        await grants.read(grant(signer=signer()))
    monotonic.pass_s(PAUSE_S)
    with pytest.raises(BadGrant):
        await grants.read(grant())


@pytest.mark.parametrize(
    "answer", [{"text": "x" * 70_000}, {"status_code": 302, "headers": {"Location": JWKS}}]
)
async def test_what_is_no_key_set_is_not_read_and_nowhere_followed(grants, respx_mock, answer):
    keys = respx_mock.get(JWKS).respond(**answer)
    with pytest.raises(KeysUnavailable):
        await grants.read(grant())
    assert keys.call_count == 1
