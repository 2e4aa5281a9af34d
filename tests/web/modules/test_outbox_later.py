"""What waits: at the next load, when somebody comes back, by beacon when the page goes, and by the clock."""

from __future__ import annotations

import pytest

from tests.waiting import until
from tests.web.modules.outbox import (
    ALICE,
    ALICE_AGAIN,
    BOB,
    HIDE,
    VERSION_1,
    add,
    becomes,
    flush,
    open_outbox,
    refusal,
    stats,
    stored,
)

pytestmark = pytest.mark.asyncio(loop_scope="session")

OLD_ROWS = """([alice, broken]) => new Promise((resolve) => {
  const transaction = old.transaction("turns", "readwrite");
  const turns = transaction.objectStore("turns");
  const row = { url: "https://old.example/", session_id: "session-1", stored_at: Date.now(), refused: false };
  for (const id of ["t1", "t2"]) turns.add({ ...row, grant: alice, turn: turn(id) });
  turns.add({ ...row, grant: alice, turn: turn("t3"), refused: true });
  turns.add({ ...row, grant: broken, turn: turn("nobody's") });
  transaction.oncomplete = () => (old.close(), resolve());
})"""


async def left_behind(page, services, *turn_ids):
    """A page that was killed: what it had is on the disk, and nothing of it was sent."""
    await open_outbox(page, services)
    await page.evaluate("() => { navigator.sendBeacon = () => true }")
    services.closed = True
    await add(page, *turn_ids)
    await becomes(page, turn_ids[-1], "waiting")
    await page.reload()
    services.forget()


async def test_a_reload_delivers_what_was_left_in_order_with_a_new_grant(blank, services):
    await left_behind(blank, services, "t1", "t2", "t3")
    await open_outbox(blank, services)
    assert services.turn_ids() == [["t1", "t2", "t3"]]
    assert services.posts[0]["grant"] == ALICE_AGAIN
    assert await blank.evaluate("renewals") == ["session-1"]
    assert await stored(blank) == []


async def test_turns_that_waited_at_load_are_known_to_the_page_until_they_are_sent(blank, services):
    await left_behind(blank, services, "t1", "t2")
    services.closed = True
    await open_outbox(blank, services)
    await add(blank, "elsewhere", session="session-2")
    told = await blank.evaluate("outbox.waitingTurns('session-1')")
    assert [turn["turn_id"] for turn in told] == ["t1", "t2"]
    assert told[0]["text"] == "words of t1"
    assert await blank.evaluate("unsent") == [2, 3]

    services.closed = False
    await blank.evaluate("() => { dispatchEvent(new Event('online')) }")
    await becomes(blank, "t2", "saved")
    assert await blank.evaluate("outbox.waitingTurns('session-1')") == []


async def test_rows_of_the_first_version_are_still_sent_and_lose_their_grant(blank, services):
    await blank.evaluate(VERSION_1)
    await blank.evaluate(OLD_ROWS, [ALICE, "not a grant"])
    await open_outbox(blank, services)
    assert services.turn_ids() == [["t1", "t2"]]
    assert [(row["turn"]["turn_id"], row["sub"]) for row in await stored(blank)] == [("nobody's", "")]


async def test_a_page_that_goes_away_hands_what_waits_to_the_browser_and_keeps_it(blank, services):
    await open_outbox(blank, services)
    services.answers = [refusal(503)]
    await add(blank, "t1")
    await becomes(blank, "t1", "waiting")
    await add(blank, "t2")

    await blank.goto(f"{services.page}/blank?another")

    await services.has_posted(["t1"], ["t1", "t2"])
    assert services.content_types[1] == "text/plain;charset=UTF-8"
    assert services.preflights == 0
    assert [row["turn"]["turn_id"] for row in await stored(blank)] == ["t1", "t2"]


async def test_what_left_when_the_page_was_hidden_does_not_leave_once_more_when_it_goes(blank, services):
    await open_outbox(blank, services)
    services.answers = [refusal(503)]
    await add(blank, "t1")
    await becomes(blank, "t1", "waiting")
    await blank.evaluate(HIDE, "hidden")
    await services.has_posted(["t1"], ["t1"])
    await blank.evaluate("() => { dispatchEvent(new PageTransitionEvent('pagehide')) }")
    await blank.evaluate(HIDE, "visible")
    await becomes(blank, "t1", "saved")
    assert services.turn_ids() == [["t1"]] * 3


async def test_a_beacon_has_the_oldest_turns_of_a_size_that_a_browser_takes(blank, services):
    await open_outbox(blank, services)
    services.answers = [refusal(503)]
    await add(blank, *(f"t{number}" for number in range(12)), text="x" * 7_900)
    await becomes(blank, "t0", "waiting")
    await blank.evaluate(HIDE, "hidden")

    async def left():
        return len(services.posts) == 2

    await until(left)
    assert services.turn_ids()[1] == ["t0", "t1", "t2", "t3", "t4"]


async def test_a_turn_that_is_in_flight_anyway_does_not_leave_twice(blank, services, context):
    await open_outbox(blank, services)
    services.gate.clear()
    await add(blank, "t1")
    await services.has_posted(["t1"])
    await blank.close()
    services.gate.set()
    other = await context.new_page()
    await other.goto(f"{services.page}/blank")
    assert services.turn_ids() == [["t1"]]


async def test_a_closing_tab_still_delivers_the_last_turn(blank, services):
    await open_outbox(blank, services)
    await blank.evaluate("(grant) => addEventListener('pagehide', () => add(['last'], { grant }))", ALICE)
    await blank.close(run_before_unload=False)
    await services.has_posted(["last"])


async def test_a_closing_tab_delivers_the_last_turn_after_those_that_wait(blank, services):
    await open_outbox(blank, services)
    services.answers = [refusal(503)]
    await add(blank, "t1")
    await becomes(blank, "t1", "waiting")
    await blank.evaluate("(grant) => addEventListener('pagehide', () => add(['last'], { grant }))", ALICE)
    await blank.close(run_before_unload=False)
    await services.has_posted(["t1"], ["t1"], ["t1", "last"])


@pytest.mark.parametrize(
    "moment",
    [
        "dispatchEvent(new Event('online'))",
        "dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))",
        "document.dispatchEvent(new Event('visibilitychange', { bubbles: true }))",
    ],
)
async def test_whoever_comes_back_need_not_wait_for_the_next_try(blank, services, moment):
    await blank.clock.install()
    await open_outbox(blank, services)
    services.closed = True
    await add(blank, "t1")
    await becomes(blank, "t1", "waiting")
    services.closed = False
    await blank.evaluate(f"() => {{ {moment} }}")
    await becomes(blank, "t1", "saved")


async def test_what_waits_without_a_failure_of_its_own_is_looked_at_every_half_minute(blank, services):
    await blank.clock.install()
    await open_outbox(blank, services)
    services.answers = [refusal(500)]
    await add(blank, "t1")
    await becomes(blank, "t1", "waiting")
    await blank.clock.fast_forward(30_000)
    await becomes(blank, "t1", "saved")


async def test_turns_of_somebody_else_are_not_shown_either(blank, services):
    await left_behind(blank, services, "t1")
    await open_outbox(blank, services, renewed=BOB)
    assert await blank.evaluate("outbox.waitingTurns('session-1')") == []
    assert (await stats(blank))["others"] == 1
    await flush(blank)
    assert services.posts == []


async def test_the_page_asks_the_broker_for_a_grant_and_for_no_token(page, services):
    services.closed = True
    await page.evaluate(
        """(url) => {
      navigator.sendBeacon = () => true;
      return engram.outbox.add({ url, session_id: "session-1", grant: "grant-1" }, [turn("t1")]);
    }""",
        f"{services.enrichment}/memory/enrich",
    )
    await services.has_posted(["t1"])
    services.closed = False
    await page.reload()
    await services.has_posted(["t1"], ["t1"])
    assert services.renewals == ["session-1"]
    assert services.tokens == []
    await page.evaluate("until(() => engram.outbox.stats().waiting === 0, 'it to be saved')")


async def test_where_memory_is_off_now_what_waits_is_kept(page, services):
    services.closed = True
    await page.evaluate(
        """(url) => {
      navigator.sendBeacon = () => true;
      return engram.outbox.add({ url, session_id: "session-1", grant: "grant-1" }, [turn("t1")]);
    }""",
        f"{services.enrichment}/memory/enrich",
    )
    services.memory = False
    await page.reload()

    async def has_asked():
        return services.renewals == ["session-1"]

    await until(has_asked)
    assert len(await stored(page)) == 1
