"""Attack 31, token farming, and the part of 39 that would dodge it by a made-up address."""

from __future__ import annotations

import asyncio
import time

import httpx
import pytest

from broker.app import create_app
from broker.edge.addresses import neighbourhood
from broker.edge.telemetry import FIELDS
from tests.attacks.wire import served
from tests.broker.build import ENRICHMENT, settings
from tests.broker.conftest import azure  # noqa: F401 - fixture
from tests.broker.over_http import problem
from tests.clocks import Clock
from tests.enrichment.build import DownMemory
from tests.enrichment.conftest import keys  # noqa: F401 - fixture
from tests.enrichment.service import CLOCK, as_bearer, grant, said, service
from tests.running import running

LIMITED = {"limits": "on", "auth_required": True, "auth_dev_tokens": True}
ROOMY = {"limit_address_per_minute": 100_000}  # where the address is not what is tried


class Farm:
    """Somebody who asks a limited broker for tokens, at a time of the test's."""

    def __init__(self, broker, clock) -> None:
        self.broker = broker
        self.clock = clock

    async def ask(self, person="alice", *, session=None, **headers):
        as_person = {"Authorization": f"Bearer dev_{person}_analyst"}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        body = {"session_id": session} if session else {}
        return await self.broker.post("/realtime/token", json=body, headers=as_person | named)


@pytest.fixture
async def farm(request):
    clock = Clock(1_795_046_400.0)  # midnight, UTC
    chosen = settings(**LIMITED | getattr(request, "param", ROOMY))
    async with running(create_app(chosen, now=clock, probing=False)) as broker:
        yield Farm(broker, clock)


def farming(**changed):
    return pytest.mark.parametrize("farm", [changed], indirect=True)


async def passes_exactly_after(farm, refused, ask) -> float:
    """The wait that was told, once it is proved: a moment sooner fails, then it passes."""
    body = problem(refused, 429, "too-many-requests")
    wait_ms = body["retry_after_ms"]
    assert body["retryable"] is True
    assert int(refused.headers["retry-after"]) == -(-wait_ms // 1000)
    farm.clock.pass_s((wait_ms - 1) / 1000)
    problem(await ask(), 429, "too-many-requests")
    farm.clock.pass_s(0.001)
    assert (await ask()).status_code == 200
    return wait_ms / 1000


async def test_31_one_person_in_a_loop_gets_three_and_then_one_every_ten_seconds(farm, azure):  # noqa: F811
    answers = await asyncio.gather(*(farm.ask(session="s") for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [200] * 3 + [429] * 17
    assert azure.call_count == 3
    assert (await farm.ask("bob")).status_code == 200
    assert await passes_exactly_after(farm, await farm.ask(session="s"), lambda: farm.ask(session="s")) == 10


@farming(**ROOMY, limit_person_minutes_a_day=10_000)
async def test_31_nor_more_than_sixty_in_an_hour(farm, azure):  # noqa: F811
    for _ in range(60):
        assert (await farm.ask(session="s")).status_code == 200
        farm.clock.pass_s(30)
    refused = await farm.ask(session="s")
    assert "60 an hour" in problem(refused, 429, "too-many-requests")["detail"]
    assert await passes_exactly_after(farm, refused, lambda: farm.ask(session="s")) == 1800


async def test_31_a_thousand_people_of_one_network_are_one_network(azure):  # noqa: F811
    clock = Clock()
    async with running(create_app(settings(**LIMITED), now=clock, probing=False)) as broker:
        crowd = Farm(broker, clock)
        answers = await asyncio.gather(*(crowd.ask(f"p{number}") for number in range(1000)))
        statuses = [answer.status_code for answer in answers]
        assert (statuses.count(200), statuses.count(429)) == (30, 970)
        assert azure.call_count == 30
        last = answers[-1]
        assert problem(last, 429, "too-many-requests")["detail"] == "requests from your network: 30 a minute"
        assert await passes_exactly_after(crowd, last, lambda: crowd.ask("somebody")) == 2


@farming(**ROOMY, limit_all_per_minute=60)
async def test_31_all_together_stay_below_what_azure_grants(farm, azure):  # noqa: F811
    answers = await asyncio.gather(*(farm.ask(f"p{number}") for number in range(100)))
    assert [answer.status_code for answer in answers].count(200) == 10
    farm.clock.pass_s(1)
    assert (await farm.ask("p11")).status_code == 200


@farming(**ROOMY, limit_person_per_minute=100, limit_person_per_hour=1000, limit_person_minutes_a_day=10_000)
async def test_31_who_is_granted_more_may_also_come_with_more_at_once(farm, azure):  # noqa: F811
    answers = await asyncio.gather(*(farm.ask(session="s") for _ in range(60)))
    assert [answer.status_code for answer in answers].count(200) == 50


async def test_31_a_third_conversation_waits_for_the_first_to_end(farm, azure):  # noqa: F811
    for session in ("one", "two", "one"):
        assert (await farm.ask(session=session)).status_code == 200
    farm.clock.pass_s(60)
    refused = await farm.ask(session="three")
    assert "2 sessions at a time" in problem(refused, 429, "too-many-requests")["detail"]
    assert await passes_exactly_after(farm, refused, lambda: farm.ask(session="three")) == 1740


async def test_31_no_call_ends_later_than_what_is_left_of_the_day_and_then_there_is_none(farm, azure):  # noqa: F811
    granted_s = []
    for number in range(7):
        answer = (await farm.ask(session=f"s{number}")).json()
        granted_s.append(answer["call_ends_at"] - farm.clock())
        farm.clock.pass_s(1800)
    assert granted_s == [1800] * 6 + [200 * 60 - 6 * 1800]
    wait_s = await passes_exactly_after(farm, await farm.ask(session="s"), lambda: farm.ask(session="s"))
    assert wait_s == 86_400 - 7 * 1800


async def test_31_a_mint_that_failed_costs_no_minutes_and_no_place(farm, azure):  # noqa: F811
    azure.respond(400, json={"error": {"code": "x"}})
    for number in range(10):
        assert (await farm.ask(session=f"s{number}")).status_code >= 500
        farm.clock.pass_s(10)
    azure.respond(200, json={"value": "ek_1", "expires_at": int(time.time()) + 60, "session": {}})
    answer = await farm.ask(session="a")
    assert answer.json()["call_ends_at"] == farm.clock() + 1800


@farming(**ROOMY, enrichment_url=ENRICHMENT)
async def test_31_grants_are_renewed_for_a_browser_full_of_sessions_and_not_in_a_loop(farm):
    async def renew(person="alice"):
        bears = {"Authorization": f"Bearer dev_{person}_analyst"}
        return await farm.broker.post("/realtime/grant", json={"session_id": "s"}, headers=bears)

    answers = await asyncio.gather(*(renew() for _ in range(40)))
    assert sorted(answer.status_code for answer in answers) == [200] * 15 + [429] * 25
    assert (await renew("bob")).status_code == 200
    assert await passes_exactly_after(farm, await renew(), renew) == 2


@farming(limit_address_per_minute=1000)
async def test_31_who_fails_to_sign_in_ten_times_waits_five_minutes_even_with_a_good_token(farm, azure):  # noqa: F811
    for _ in range(10):
        response = await farm.broker.post("/realtime/token", headers={"Authorization": "Bearer guess"})
        problem(response, 401, "not-signed-in")
    refused = await farm.ask()
    assert "sign in" in problem(refused, 429, "too-many-requests")["detail"]
    assert await passes_exactly_after(farm, refused, farm.ask) == 300


# 39: an address that was made up


async def test_39_a_made_up_address_dodges_nothing(azure):  # noqa: F811
    clock = Clock()
    async with running(create_app(settings(**LIMITED), now=clock, probing=False)) as broker:
        crowd = Farm(broker, clock)
        for number in range(31):
            spoofed = f"203.0.{number}.7"
            made_up = {"x_forwarded_for": spoofed, "x_real_ip": spoofed, "forwarded": f"for={spoofed}"}
            answer = await crowd.ask(f"p{number}", **made_up)
        assert answer.status_code == 429


async def test_39_nor_where_the_server_by_itself_would_believe_a_neighbour():
    chosen = settings(**LIMITED, azure_voicelive_endpoint=None, azure_voicelive_key=None)
    async with served(create_app(chosen, probing=False)) as url, httpx.AsyncClient(trust_env=False) as http:
        statuses = []
        for number in range(40):
            spoofed = {"X-Forwarded-For": f"203.0.{number}.7", "Authorization": "Bearer dev_a_analyst"}
            statuses.append((await http.post(f"{url}/realtime/token", headers=spoofed)).status_code)
    assert set(statuses[:30]) == {503}  # voice is not configured there
    assert 429 in statuses[30:]


async def test_31_a_listed_page_can_read_that_it_was_too_much_and_for_how_long(farm, azure):  # noqa: F811
    for _ in range(4):
        answer = await farm.ask(session="s", Origin="https://app.example.org")
    assert answer.status_code == 429
    assert answer.headers["access-control-allow-origin"] == "https://app.example.org"
    assert "Retry-After" in answer.headers["access-control-expose-headers"]
    assert answer.headers["cache-control"] == "no-store"


@farming(trusted_proxies=1, limit_address_per_minute=2)
async def test_39_behind_a_proxy_only_what_it_wrote_itself_counts(farm, azure):  # noqa: F811
    for number in range(2):
        forged = f"10.0.{number}.1, 198.51.100.7"
        assert (await farm.ask(f"p{number}", x_forwarded_for=forged)).status_code == 200
    assert (await farm.ask("p3", x_forwarded_for="10.9.9.9, 198.51.100.200")).status_code == 429
    assert (await farm.ask("p4", x_forwarded_for="198.51.100.7, 198.51.101.7")).status_code == 200


@farming(trusted_proxies=2, limit_address_per_minute=1)
async def test_39_a_chain_shorter_than_our_proxies_make_it_is_no_chain(farm, azure):  # noqa: F811
    assert (await farm.ask("p1", x_forwarded_for="203.0.113.1")).status_code == 200
    assert (await farm.ask("p2", x_forwarded_for="203.0.114.1")).status_code == 429
    assert (await farm.ask("p3", x_forwarded_for="x, 203.0.115.1, 10.0.0.1")).status_code == 200
    assert (await farm.ask("p4", x_forwarded_for="not an address, 10.0.0.1")).status_code == 429


@pytest.mark.parametrize(
    ("host", "network"),
    [
        ("198.51.100.7", "198.51.100.0/24"),
        ("2001:db8:1:2ff::7", "2001:db8:1:200::/56"),
        ("::ffff:198.51.100.7", "198.51.100.0/24"),
        ("testclient", "unknown"),
    ],
)
def test_39_an_address_is_its_network(host, network):
    assert neighbourhood({"client": (host, 1)}) == network
    assert neighbourhood({"client": None}) == "unknown"


# The same at enrichment: what one session and one person may post


def posting(**changed):
    return {"limits": "on", "auth_required": True, "auth_dev_tokens": True} | changed


async def test_31_a_flood_of_posts_of_one_session_leaves_others_alone(tmp_path, keys):  # noqa: F811
    mine, other = as_bearer(grant()), as_bearer(grant("bob", "s-2"))
    async with service(tmp_path, DownMemory(), **posting()) as client:

        async def post(number, bearer=mine):
            return await client.post("/memory/enrich", json={"turns": [said(f"t{number}")]}, headers=bearer)

        answers = await asyncio.gather(*(post(number) for number in range(40)))
        assert sorted(answer.status_code for answer in answers) == [202] * 20 + [429] * 20
        assert (await post(0, other)).status_code == 202
        refused = problem(answers[-1], 429, "too-many-requests")
        assert refused["retry_after_ms"] == 1000  # 200 would do; nobody is told to come back within a second
        CLOCK.pass_s(0.199)
        assert (await post(50)).status_code == 429
        CLOCK.pass_s(0.001)
        assert (await post(51)).status_code == 202


async def test_31_nobody_fills_the_disk_in_small_pieces(tmp_path, keys):  # noqa: F811
    few = posting(limit_session_turns_a_day=100, limit_person_kib_a_day=256)
    async with service(tmp_path, DownMemory(), **few) as client:
        statuses = []
        for number in range(5):
            batch = [said(f"t{number}-{each}") for each in range(30)]
            answer = await client.post("/memory/enrich", json={"turns": batch}, headers=as_bearer(grant()))
            statuses.append(answer.status_code)
        assert statuses == [202, 202, 202, 429, 429]
        assert "100 a day" in answer.json()["detail"]
        long = [said(f"l{each}", "x" * 8000) for each in range(6)]
        for number in range(6):
            bearer = as_bearer(grant(session_id=f"other-{number}"))
            answer = await client.post("/memory/enrich", json={"turns": long}, headers=bearer)
        assert answer.status_code == 429
        assert "a person says" in answer.json()["detail"]


@pytest.mark.parametrize("environment", ["development", "staging"])
async def test_where_nobody_s_data_is_nothing_is_counted_unless_it_is_asked_for(azure, environment):  # noqa: F811
    async with running(create_app(settings(environment=environment), probing=False)) as broker:
        answers = [await broker.post("/realtime/token", json={}) for _ in range(50)]
    assert {answer.status_code for answer in answers} == {200}


def test_no_limit_writes_an_address_into_a_log():
    assert not FIELDS & {"address", "client", "network", "ip"}
