"""The route of the calls: who may offer one, from where, and what is no offer."""

from itertools import count

import pytest

from tests.running import running
from tests.simulated.routes import CALLS, KEY, MINT, OFFER, offered, session
from tests.simulator.azure import create_app
from tests.simulator.call import resolved


@pytest.mark.parametrize(
    ("authorization", "said"),
    [(None, "required"), ("Bearer entra-token", "invalid"), ("Bearer ek_unknown", "invalid")],
)
async def test_only_an_ephemeral_token_opens_a_call(azure, authorization, said):
    headers = {"Content-Type": "application/sdp", "Origin": "https://page.example"}
    headers |= {"Authorization": authorization} if authorization else KEY
    reply = await azure.post(CALLS, headers=headers, content=OFFER)

    assert reply.status_code == 401
    assert reply.json()["error"]["message"] == f"Realtime session ephemeral token is {said}."
    assert reply.headers["access-control-allow-origin"] == "*"


async def test_an_expired_token_opens_nothing():
    clock = count(1_790_000_000, 100)
    async with running(create_app(now=lambda: next(clock))) as azure:
        token = (await azure.post(MINT, headers=KEY, json=session())).json()["value"]
        assert (await offered(azure, token)).status_code == 401


@pytest.mark.parametrize("token", ["ek_sim_sdp-refused", "ek_sim_happy", "ek_sim_late-user-transcript_7"])
async def test_an_offer_that_cannot_be_answered_is_refused(azure, token):
    reply = await offered(azure, token)
    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "invalid_offer")


async def test_a_call_takes_sdp_and_no_other_content(azure):
    headers = {"Authorization": "Bearer ek_sim_happy", "Content-Type": "application/json"}
    assert (await azure.post(CALLS, headers=headers, content=OFFER)).status_code == 400


async def test_any_origin_may_call_but_not_read_where_the_call_is(azure):
    asked = {"Origin": "https://page.example", "Access-Control-Request-Method": "POST"}
    asked |= {"Access-Control-Request-Headers": "authorization,content-type"}
    reply = await azure.options(CALLS, headers=asked)

    assert reply.status_code == 200
    assert reply.headers["access-control-allow-origin"] == "*"
    assert reply.headers["access-control-allow-headers"] == "authorization,content-type"
    assert "access-control-expose-headers" not in reply.headers


async def test_nobody_hangs_up_a_call_that_is_not_there(azure):
    assert (await azure.post(f"{CALLS}/rtc_none/hangup", headers=KEY)).status_code == 404
    assert (await azure.post(f"{CALLS}/rtc_none/hangup")).status_code == 401


def test_a_hidden_address_of_a_browser_becomes_this_machine():
    line = "a=candidate:1 1 udp 2113937151 0bd1f2a4-aaaa.local 56789 typ host\r\n"
    assert resolved(line) == "a=candidate:1 1 udp 2113937151 127.0.0.1 56789 typ host\r\n"
