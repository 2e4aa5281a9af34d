"""The fault bench: its faults repeat, its figures are right, its fake is strict."""

from __future__ import annotations

import asyncio
import math
from itertools import pairwise

import httpx
import pytest

from tests.bench.faults.azure import CALLS_PATH, MINTED_AT
from tests.bench.faults.domain import GA_PATH, GRACE_S, FakeDomain, Tokens, first_key, second_key
from tests.bench.faults.fates import MEDIAN_S, NOISE_SHARE, Ending, fate
from tests.bench.faults.figures import can_show, figures_of, lower_bound, outage_of, showable
from tests.bench.faults.load import Order, Outcome, arrivals
from tests.bench.faults.mixes import MIXES, Fault, Mix, Outbreak, mix_named
from tests.bench.faults.schedules import Schedule, active
from tests.bench.faults.systems import Ports, fake_azure
from tests.bench.faults.wire import Asked, Port
from tests.local.processes import start
from tests.virtual_time import run_virtual
from tests.waiting import until

HEALTHY = frozenset[Fault]()
mixes = pytest.mark.parametrize("mix", MIXES, ids=lambda mix: mix.name)


@mixes
def test_the_same_seed_gives_the_same_faults(mix):
    one, other = Schedule(mix, 7, 100.0), Schedule(mix, 7, 100.0)
    assert one.windows == other.windows
    requests = [(number, active(one.windows, "A", number / 10)) for number in range(1000)]
    assert [fate(one, faults, "A", number) for number, faults in requests] == [
        fate(other, faults, "A", number) for number, faults in requests
    ]


def test_another_seed_gives_other_faults():
    mix = mix_named("M2")
    assert Schedule(mix, 1, 100.0).windows != Schedule(mix, 2, 100.0).windows
    assert fate(Schedule(mix, 1, 100.0), HEALTHY, "A", 1) != fate(Schedule(mix, 2, 100.0), HEALTHY, "A", 1)


@mixes
@pytest.mark.parametrize("is_drill", [False, True], ids=["day", "drill"])
def test_faults_begin_and_end_within_the_run(mix, is_drill):
    windows = Schedule(mix, 3, 50.0, is_drill).windows
    assert bool(windows) == bool(mix.outbreaks)
    assert all(0 <= window.begin_s < window.end_s <= 50.0 for window in windows)


def test_a_day_keeps_the_share_of_each_fault():
    for length_s, times in ((100.0, 1), (600.0, 2), (8640.0, 6)):
        windows = Schedule(mix_named("M3"), 1, length_s).windows
        lasted_s = sum(window.end_s - window.begin_s for window in windows)
        assert lasted_s == pytest.approx(length_s * 30 / (24 * 60))
        assert len(windows) == times
        assert all(earlier.end_s <= later.begin_s for earlier, later in pairwise(windows))


def test_a_fault_decides_only_while_it_lasts_and_where_it_is():
    schedule = Schedule(Mix("X", "", (Outbreak(Fault.DARK, 1, 60, at_hour=6),)), 1, 240.0)
    assert active(schedule.windows, "A", 59.9) == active(schedule.windows, "B", 65.0) == HEALTHY
    assert active(schedule.windows, "A", 65.0) == {Fault.DARK}
    assert fate(schedule, {Fault.DARK}, "A", 1).ending is Ending.SILENCE


def test_a_healthy_domain_is_as_fast_and_as_noisy_as_it_says():
    schedule = Schedule(mix_named("M0"), 1, 100.0)
    fates = [fate(schedule, HEALTHY, "A", number) for number in range(20_000)]
    assert sorted(one.after_s for one in fates)[10_000] == pytest.approx(MEDIAN_S, rel=0.02)
    errors = sum(one.ending is Ending.SERVER_ERROR for one in fates)
    assert errors == pytest.approx(NOISE_SHARE * 20_000, rel=0.5)
    assert sum(one.after_s > 2 for one in fates) == pytest.approx(0.005 * 20_000, rel=0.3)


def test_callers_come_at_their_rate_whatever_happens():
    order = Order("", "", 10_000, 50.0, 4, 0.0)
    came = list(arrivals(order))
    assert came == sorted(came) == list(arrivals(order))
    assert came[-1] == pytest.approx(200.0, rel=0.05)


def test_without_a_failure_the_bound_is_the_rule_of_three():
    assert lower_bound(30_000, 30_000) == pytest.approx(0.9999)
    assert lower_bound(0, 0) == 0.0


@pytest.mark.parametrize(("successes", "n"), [(99, 100), (80, 100), (99_990, 100_000), (5, 10)])
def test_with_failures_the_bound_is_where_the_score_test_would_just_not_reject(successes, n):
    bound = lower_bound(successes, n)
    assert (successes / n - bound) / math.sqrt(bound * (1 - bound) / n) == pytest.approx(1.6449, rel=1e-3)


def test_a_run_claims_no_more_than_it_can_show():
    assert can_show(0.9999, 30_000)
    assert not can_show(0.9999, 29_999)
    assert showable(0.9999, 100_000) == 0.9999
    assert showable(0.9995, 100_000) == 0.9995
    assert showable(0.9999, 600) == 0.98
    assert all(lower_bound(n, n) >= showable(0.9999, n) for n in (10, 100, 1_000, 10_000))


def outcome(came_s: float, ms: float, status: int = 200) -> Outcome:
    return Outcome(came_s, ms, status, status == 200, 0.1)


def test_figures_of_known_outcomes():
    outcomes = [outcome(number, number + 1.0) for number in range(998)]
    figures = figures_of([*outcomes, outcome(998, 9_000.0), outcome(999, 3.0, 503)])
    assert (figures.n, figures.successes) == (1000, 998)
    assert (figures.p50, figures.p99, figures.slowest) == (500.0, 990.0, 9_000.0)


def test_a_token_that_opens_no_call_is_a_failure():
    assert figures_of([Outcome(0.0, 100.0, 200, False, 0.0)]).successes == 0


def test_an_outage_is_who_came_and_was_answered_in_it():
    outcomes = [
        outcome(0.5, 100.0),
        outcome(1.0, 2.0, 503),
        outcome(1.5, 4.0, 503),
        outcome(1.9, 500.0),  # was answered when it was over
        outcome(2.3, 3.0, 503),
        outcome(2.4, 100.0),
    ]
    outage = outage_of(outcomes, 1.0, 2.0)
    assert (outage.n, outage.successes, outage.slowest) == (2, 0, 4.0)
    assert outage.recovery_s == pytest.approx(0.3)


@pytest.fixture
async def azure(tmp_path):
    """A healthy fake Azure as a process: its ports, and a client."""
    ports = Ports.free()
    running = await start(fake_azure(Schedule(mix_named("M1"), 1, 60.0), ports), tmp_path)
    try:
        await running.answers()
        async with httpx.AsyncClient() as http:
            yield ports, http
    finally:
        await running.stop()


async def mint(http: httpx.AsyncClient, port: int, key: str, path: str = GA_PATH) -> httpx.Response:
    return await http.post(f"http://127.0.0.1:{port}{path}", json={"session": {}}, headers={"api-key": key})


async def call(http: httpx.AsyncClient, ports: Ports, value: str, minted_at: int) -> int:
    headers = {"Authorization": f"Bearer {value}", MINTED_AT: f"http://127.0.0.1:{minted_at}"}
    url = f"http://127.0.0.1:{ports.untouched}{CALLS_PATH}"
    return (await http.post(url, content=b"v=0\r\n", headers=headers)).status_code


async def test_a_token_opens_one_call_and_only_where_it_was_minted(azure):
    ports, http = azure
    value = (await mint(http, ports.a, first_key("A"))).json()["value"]
    assert await call(http, ports, value, ports.a) == 201
    assert await call(http, ports, value, ports.a) == 401
    other = (await mint(http, ports.b, second_key("B"))).json()["value"]
    assert await call(http, ports, other, ports.a) == 401
    assert await call(http, ports, "ek_of_nobody", ports.a) == 401


async def test_the_fake_refuses_what_azure_would(azure):
    ports, http = azure
    assert (await mint(http, ports.a, first_key("B"))).status_code == 401
    dated = await mint(
        http, ports.a, first_key("A"), "/openai/realtime/client_secrets?api-version=2025-08-28"
    )
    assert (dated.status_code, dated.json()["error"]["message"]) == (404, "Resource not found")
    counted = (await http.get(f"http://127.0.0.1:{ports.untouched}/figures")).json()
    assert counted["A"]["asked"] == 2


class Listening:
    """Stands in for a connection of the fake."""

    def __init__(self) -> None:
        self.statuses: list[int] = []

    def answer(self, status: int, _body: bytes, _headers: object = None) -> bool:
        self.statuses.append(status)
        return True

    async def answered(self) -> bool:
        return bool(self.statuses)


def test_who_comes_back_before_its_retry_after_is_counted():
    async def main():
        storm = Mix("X", "", (Outbreak(Fault.STORM, 1, 24 * 60, at_hour=0),))
        now = asyncio.get_running_loop().time
        domain = FakeDomain("A", Schedule(storm, 1, 60.0), Tokens(), now=now)
        domain.begin(now())
        wire, asked = Listening(), Asked("POST", GA_PATH, {"api-key": first_key("A")}, b"{}")
        domain.asked(asked, wire)
        await until(wire.answered)
        domain.asked(asked, wire)  # was on its way when the 429 was written
        assert domain.figures()["too_early"] == 0
        await asyncio.sleep(GRACE_S + 0.02)
        domain.asked(asked, wire)
        assert (wire.statuses[0], domain.figures()["too_early"]) == (429, 1)

    run_virtual(main())


async def test_a_port_can_refuse_and_come_back():
    port = Port(Ports.free().a, lambda _asked, wire: wire.answer(200, b"{}"))
    url = f"http://127.0.0.1:{port.number}/"
    async with httpx.AsyncClient() as http:
        await port.open()
        assert (await http.get(url)).status_code == 200
        port.refuse()
        with pytest.raises(httpx.TransportError):
            await http.get(url)
        await port.open()
        assert (await http.get(url)).status_code == 200
        port.refuse()
