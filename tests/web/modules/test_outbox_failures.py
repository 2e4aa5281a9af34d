"""The outbox when Enrichment answers otherwise, or not at all: who waits, how long, and who is given up."""

from __future__ import annotations

import pytest

from tests.web.modules.outbox import (
    ALICE,
    ALICE_AGAIN,
    NOTHING,
    add,
    becomes,
    flush,
    go_online,
    open_outbox,
    refusal,
    stored,
)

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_after_a_503_the_turns_are_sent_again_by_themselves(blank, services):
    services.answers = [refusal(503)]
    await blank.clock.install()
    await open_outbox(blank, services)
    await add(blank, "t1")
    await becomes(blank, "t1", "waiting")
    await blank.clock.fast_forward(1_000)
    await becomes(blank, "t1", "saved")
    assert services.turn_ids() == [["t1"], ["t1"]]


async def test_a_turn_that_comes_when_the_next_try_is_due_does_not_put_it_off(blank, services):
    services.answers = [refusal(503)]
    await blank.clock.install()
    await open_outbox(blank, services)
    await add(blank, "t1")
    await becomes(blank, "t1", "waiting")
    now = await blank.evaluate("Date.now()")
    await blank.clock.set_system_time(now + 1_100)  # the timer is late, as on a busy machine
    await add(blank, "t2")
    await blank.clock.fast_forward(2_000)
    await becomes(blank, "t2", "saved")
    assert services.turn_ids() == [["t1"], ["t1", "t2"]]


async def test_a_turn_that_was_to_leave_behind_one_that_failed_is_told_to_wait_too(blank, services):
    services.closed = True
    await open_outbox(blank, services)
    services.gate.clear()
    await add(blank, "t1")
    await services.has_posted(["t1"])
    await add(blank, "t2")
    services.gate.set()
    await blank.evaluate("until(() => saved.t1 === 'waiting', 'the first to fail')")
    assert await blank.evaluate("saved.t2") == "waiting"


@pytest.mark.parametrize("status", [429, 503])
async def test_enrichment_is_given_the_time_it_asks_for(blank, services, status):
    expose = {"access-control-expose-headers": "Retry-After"}
    services.answers = [refusal(status, **{"Retry-After": "60"}, **expose)]
    await blank.clock.install()
    await open_outbox(blank, services)
    await add(blank, "t1")
    await becomes(blank, "t1", "waiting")

    await go_online(blank)
    await add(blank, "t2", session="session-2")
    await becomes(blank, "t2", "waiting")
    await blank.clock.fast_forward(59_000)
    assert services.turn_ids() == [["t1"]]

    await blank.clock.fast_forward(1_500)
    await becomes(blank, "t2", "saved")
    assert services.turn_ids() == [["t1"], ["t1"], ["t2"]]


async def test_failures_wait_twice_as_long_each_time_and_five_minutes_at_most(bench):
    waits = await bench.evaluate("""async () => {
      const { BackOff } = await import("/back-off.js");
      const once = () => {
        const pause = new BackOff();
        return Array.from({ length: 12 }, () => (pause.failed(), pause.leftMs));
      };
      return Array.from({ length: 50 }, once);
    }""")
    longest = [min(1_000 * 2**number, 300_000) for number in range(12)]
    for row in waits:
        assert all(
            most / 2 - 50 <= wait <= most for wait, most in zip(row, longest, strict=True)
        )  # the clock of the browser goes on meanwhile
    assert len({row[-1] for row in waits}) > 40  # each its own time


async def test_a_dead_network_loses_nothing_and_its_return_is_noticed(blank, services, context):
    await open_outbox(blank, services)
    await context.set_offline(True)
    await add(blank, "t1", "t2")
    await becomes(blank, "t2", "waiting")
    await context.set_offline(False)  # the browser says "online" by itself
    await becomes(blank, "t2", "saved")
    assert services.turn_ids() == [["t1", "t2"]]


@pytest.mark.parametrize("status", [401, 403])
async def test_a_grant_that_is_not_good_is_renewed_once(blank, services, status):
    services.answers = [refusal(status)]
    await open_outbox(blank, services)
    await add(blank, "t1")
    await becomes(blank, "t1", "saved")
    assert [post["grant"] for post in services.posts] == [ALICE, ALICE_AGAIN]
    assert await blank.evaluate("renewals") == ["session-1"]


async def test_a_call_that_goes_on_with_its_old_grant_does_not_bring_that_back(blank, services):
    services.answers = [refusal(401)]
    await open_outbox(blank, services)
    await add(blank, "t1")
    await becomes(blank, "t1", "saved")
    await add(blank, "t2")
    await becomes(blank, "t2", "saved")
    assert [post["grant"] for post in services.posts] == [ALICE, ALICE_AGAIN, ALICE_AGAIN]


@pytest.mark.parametrize("status", [401, 403])
async def test_a_session_whose_new_grant_is_refused_too_waits_alone(blank, services, status):
    services.answers = [refusal(status), refusal(status)]
    await open_outbox(blank, services)
    await add(blank, "t1")
    assert (await becomes(blank, "t1", "waiting"))["waiting"] == 1
    assert len(services.posts) == 2

    await add(blank, "t2", session="session-2")
    await becomes(blank, "t2", "saved")
    await flush(blank)
    assert services.turn_ids() == [["t1"], ["t1"], ["t2"]]
    assert [row["turn"]["turn_id"] for row in await stored(blank)] == ["t1"]


async def test_without_a_new_grant_the_turns_stay(blank, services):
    services.answers = [refusal(401)]
    await open_outbox(blank, services, renewed=None)
    await add(blank, "t1")
    assert (await becomes(blank, "t1", "waiting"))["waiting"] == 1
    assert await blank.evaluate("renewals") == ["session-1"]


async def test_a_session_that_only_fails_does_not_hold_up_the_others(blank, services):
    services.answers = [refusal(500)]
    await open_outbox(blank, services)
    await add(blank, "t1")
    await becomes(blank, "t1", "waiting")
    await add(blank, "t2", session="session-2")
    await becomes(blank, "t2", "saved")
    assert services.turn_ids() == [["t1"], ["t2"]]


async def test_of_an_erased_session_nothing_is_kept_in_the_browser_either(blank, services):
    services.answers = [refusal(503), refusal(410)]
    await open_outbox(blank, services)
    await add(blank, *(f"t{number}" for number in range(40)))  # more than one post
    await becomes(blank, "t0", "waiting")
    await add(blank, "other", session="session-2")

    await go_online(blank)
    await becomes(blank, "t39", "refused")
    assert await becomes(blank, "other", "saved") == NOTHING | {"rejected": 40, "saved": 1}
    assert services.turn_ids()[2:] == [["other"]]
    assert await stored(blank) == []


@pytest.mark.parametrize("status", [400, 409, 413, 422])
async def test_one_turn_that_cannot_be_taken_does_not_hold_up_its_neighbours(blank, services, status):
    services.answers = [refusal(status), refusal(status)]  # the pair, then its first half
    await open_outbox(blank, services)
    await add(blank, "bad", "good")
    assert await becomes(blank, "good", "saved") == NOTHING | {"saved": 1, "rejected": 1}
    assert await blank.evaluate("saved.bad") == "refused"
    assert services.turn_ids() == [["bad", "good"], ["bad"], ["good"]]


async def test_too_many_turns_are_split_until_they_fit(blank, services):
    services.answers = [refusal(413)]
    await open_outbox(blank, services)
    await add(blank, "t1", "t2", "t3", "t4")
    assert await becomes(blank, "t4", "saved") == NOTHING | {"saved": 4}
    assert services.turn_ids() == [["t1", "t2", "t3", "t4"], ["t1", "t2"], ["t3", "t4"]]


async def test_who_comes_back_a_moment_early_is_not_sent_away(bench):
    script = """async () => {
      const { BackOff } = await import("/back-off.js");
      const { now } = Date;
      const { random } = Math;
      Math.random = () => 0.1234;
      Date.now = () => 1_000;
      const pause = new BackOff();
      pause.failed(); // until 1561.7
      const left = [];
      for (const ms of [1_000, 1_500, 1_561]) {
        Date.now = () => ms;
        left.push(pause.leftMs > 0);
      }
      Object.assign(Date, { now });
      Object.assign(Math, { random });
      return left;
    }"""
    assert await bench.evaluate(script) == [True, True, False]
