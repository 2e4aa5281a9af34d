"""Several tabs: one sends at a time, nothing is sent twice, and each tab sees what became of its turns."""

from __future__ import annotations

import asyncio

import pytest

from tests.web.modules.outbox import (
    add,
    becomes,
    flush,
    go_online,
    open_outbox,
    stats,
    stored,
    tab,
)

pytestmark = pytest.mark.asyncio(loop_scope="session")

NO_LOCKS = "Object.defineProperty(navigator, 'locks', { value: undefined })"


async def test_two_tabs_do_not_send_the_same_turns(blank, context, services):
    services.closed = True
    await open_outbox(blank, services)
    await add(blank, "t1", "t2")
    await becomes(blank, "t2", "waiting")
    other = await tab(context, services)
    services.forget()
    services.gate.clear()

    await asyncio.gather(go_online(blank), go_online(other))
    await services.has_posted(["t1", "t2"])
    await asyncio.gather(*(page.evaluate("Promise.race([outbox.flush(), 0])") for page in (blank, other)))
    services.gate.set()

    for page in (blank, other):
        await page.evaluate("until(() => outbox.stats().waiting === 0, 'both tabs to be done')")
        await becomes(page, "t2", "saved")
    assert services.turn_ids() == [["t1", "t2"]]
    assert [(await stats(page))["saved"] for page in (blank, other)].count(2) == 1


async def test_a_turn_that_one_tab_is_posting_is_not_sent_by_another_that_looks(blank, context, services):
    await open_outbox(blank, services)
    other = await tab(context, services)
    services.gate.clear()
    await add(blank, "t1")
    await services.has_posted(["t1"])
    await flush(other)
    services.gate.set()
    await becomes(blank, "t1", "saved")
    await flush(other)
    assert services.turn_ids() == [["t1"]]


async def test_a_turn_that_is_posted_while_another_tab_drains_is_left_to_its_own_tab(
    blank, context, services
):
    services.closed = True
    await open_outbox(blank, services)
    await add(blank, "t1")
    await becomes(blank, "t1", "waiting")
    other = await tab(context, services, renewed=None)
    services.forget()
    services.gate.clear()
    await go_online(blank)
    await services.has_posted(["t1"])  # the first tab leads now
    await add(other, "t2", session="session-2")
    await services.has_posted(["t1"], ["t2"])
    services.gate.set()
    await becomes(blank, "t1", "saved")
    await becomes(other, "t2", "saved")
    assert services.turn_ids() == [["t1"], ["t2"]]


async def test_a_tab_that_asked_for_the_lock_a_moment_too_late_still_sends_its_turn_alone(
    blank, context, services
):
    await open_outbox(blank, services)
    other = await tab(context, services)
    await blank.evaluate("""() => {
      const { request } = navigator.locks;
      const late = new Promise((ask) => (window.ask = ask));
      navigator.locks.request = async (...wish) => (await late, request.apply(navigator.locks, wish));
    }""")
    await other.evaluate("""() => {
      const { query } = navigator.locks;
      const released = new Promise((release) => (window.release = release));
      navigator.locks.query = async () => {
        window.hasAsked = true;
        await released;
        return query.call(navigator.locks);
      };
    }""")
    services.gate.clear()
    await add(blank, "t1")
    await services.has_posted(["t1"])
    await other.evaluate("() => { void outbox.flush(); return until(() => window.hasAsked, 'the lock') }")
    await blank.evaluate("""() => {
      ask();
      return until(async () => (await navigator.locks.query()).pending.length === 1, "the wish for it");
    }""")
    await other.evaluate("() => { release(); return outbox.flush() }")
    services.gate.set()
    await becomes(blank, "t1", "saved")
    await other.evaluate("until(() => outbox.stats().waiting === 0, 'the other tab to hear of it')")
    assert services.turn_ids() == [["t1"]]


async def test_a_turn_that_another_tab_sent_becomes_saved_in_the_tab_that_shows_it(blank, context, services):
    services.closed = True
    await open_outbox(blank, services)
    await add(blank, "t1")
    await becomes(blank, "t1", "waiting")
    other = await tab(context, services)
    services.closed = False
    await go_online(other)
    assert (await becomes(blank, "t1", "saved"))["waiting"] == 0
    assert await blank.evaluate("unsent.at(-1)") == 0
    assert services.turn_ids()[-1] == ["t1"]


async def test_without_a_channel_it_becomes_saved_because_enrichment_says_so(blank, context, services):
    await blank.evaluate("() => { delete globalThis.BroadcastChannel }")
    services.closed = True
    await open_outbox(blank, services)
    await add(blank, "t1")
    await becomes(blank, "t1", "waiting")
    other = await tab(context, services)
    services.closed = False
    await go_online(other)
    await other.evaluate("until(() => outbox.stats().waiting === 0, 'it to be sent')")
    sent = len(services.posts)
    await go_online(blank)
    await becomes(blank, "t1", "saved")
    assert services.turn_ids()[sent:] == [["t1"]]
    assert await stored(blank) == []


async def test_a_tab_that_is_closed_while_it_leads_is_followed_by_another(blank, context, services):
    services.closed = True
    await open_outbox(blank, services)
    await add(blank, "t1")
    await becomes(blank, "t1", "waiting")
    other = await tab(context, services)
    services.forget()
    services.gate.clear()
    await go_online(blank)
    await services.has_posted(["t1"])
    await go_online(other)  # in vain
    await blank.close()
    services.gate.set()
    await other.evaluate("until(() => outbox.stats().waiting === 0, 'the other tab to follow')")
    assert await stored(other) == []


async def test_without_locks_a_lease_in_the_database_decides_who_sends(blank, context, services):
    await blank.add_init_script(NO_LOCKS)
    await blank.reload()
    services.closed = True
    await open_outbox(blank, services)
    await add(blank, "t1", "t2")
    await becomes(blank, "t2", "waiting")
    other = await context.new_page()
    await other.add_init_script(NO_LOCKS)
    await other.goto(f"{services.page}/blank")
    await open_outbox(other, services)
    services.forget()
    services.gate.clear()
    await go_online(blank)
    await services.has_posted(["t1", "t2"])
    await flush(other)
    services.gate.set()
    await becomes(blank, "t2", "saved")
    await flush(other)
    assert services.turn_ids() == [["t1", "t2"]]
    assert (await stats(other))["waiting"] == 0


async def test_signing_out_in_one_tab_waits_for_another_that_is_sending(blank, context, services):
    services.closed = True
    await open_outbox(blank, services)
    await add(blank, "t1")
    await becomes(blank, "t1", "waiting")
    other = await tab(context, services)
    services.forget()
    services.gate.clear()
    await go_online(blank)
    await services.has_posted(["t1"])
    leaving = asyncio.ensure_future(other.evaluate("outbox.sendThenClear()"))
    await other.evaluate(
        "until(async () => (await navigator.locks.query()).pending.length === 1, 'its turn')"
    )
    services.gate.set()
    assert await leaving == 0
    await becomes(blank, "t1", "saved")
    assert services.turn_ids() == [["t1"]]
