"""The outbox: a turn is stored, posted, and forgotten only when Enrichment has it."""

from __future__ import annotations

import asyncio
import json

import pytest
from starlette.responses import JSONResponse

pytestmark = pytest.mark.asyncio(loop_scope="session")

OPEN = """async ({ url, renewed = null }) => {
  const { TranscriptOutbox } = await import("/transcript-outbox.js");
  window.renewals = [];
  const renew = async (id) => (renewals.push(id), renewed);
  window.outbox = await TranscriptOutbox.open({ renew });
  window.saved = {};
  outbox.on("change", ({ turnId, saved }) => (window.saved[turnId] = saved));
  window.route = { url, session_id: "session-1", grant: "grant-1" };
  await outbox.flush();
}"""
ADD = "(ids) => outbox.add(route, ids.map((id) => turn(id)))"
STATE = "async (id, state) => { await until(() => saved[id] === state); return outbox.stats(); }"


async def open_outbox(page, services, **options):
    await page.evaluate(OPEN, {"url": f"{services.enrichment}/memory/enrich", **options})


async def becomes(page, turn_id, saved):
    """The outbox's counts, once the turn has come so far."""
    return await page.evaluate(f"([id, state]) => ({STATE})(id, state)", [turn_id, saved])


async def go_online(page):
    await page.evaluate("() => { dispatchEvent(new Event('online')) }")


async def test_a_turn_is_posted_in_one_simple_request_and_then_forgotten(blank, services):
    await open_outbox(blank, services)
    await blank.evaluate(ADD, ["t1", "t2"])
    stats = await becomes(blank, "t2", "saved")

    assert stats == {"saved": 2, "rejected": 0, "refused": 0, "waiting": 0}
    assert services.turn_ids() == [["t1", "t2"]]
    assert (services.posts[0]["grant"], services.posts[0]["session_id"]) == ("grant-1", "session-1")
    assert services.content_types == ["text/plain;charset=UTF-8"]
    assert services.preflights == 0


async def test_a_turn_is_being_stored_before_it_is_sent_and_both_in_one_task(blank, services):
    await open_outbox(blank, services)
    order = await blank.evaluate("""() => {
      const order = [];
      const { add } = IDBObjectStore.prototype, { commit } = IDBTransaction.prototype, { fetch } = window;
      IDBObjectStore.prototype.add = function (row) {
        order.push("put " + this.transaction.durability);
        return add.call(this, row);
      };
      IDBTransaction.prototype.commit = function () {
        order.push("commit");
        return commit.call(this);
      };
      window.fetch = (url, request) => {
        order.push("post keepalive=" + request.keepalive);
        return fetch(url, request);
      };
      outbox.add(route, [turn("t1")]);
      return order;
    }""")
    assert order == ["put strict", "commit", "post keepalive=true"]
    await becomes(blank, "t1", "saved")


async def test_only_the_turns_that_the_answer_lists_are_deleted(blank, services):
    services.answers = [
        JSONResponse(
            {"accepted": ["t1"], "duplicate": ["t2"], "rejected": [{"turn_id": "t3", "reason": "x"}]}, 202
        ),
        JSONResponse({}, 503),
    ]
    await open_outbox(blank, services)
    await blank.evaluate(ADD, ["t1", "t2", "t3", "t4"])

    stats = await becomes(blank, "t4", "waiting")
    assert stats == {"saved": 2, "rejected": 1, "refused": 0, "waiting": 1}
    assert await blank.evaluate("saved.t3") == "refused"


async def test_a_202_that_is_not_ours_deletes_nothing(blank, services):
    services.answers = [JSONResponse({}, 202), JSONResponse({}, 503)]
    await open_outbox(blank, services)
    await blank.evaluate(ADD, ["t1"])
    assert (await becomes(blank, "t1", "waiting"))["waiting"] == 1


async def test_after_a_503_the_turns_are_sent_again_by_themselves(blank, services):
    services.answers = [JSONResponse({}, 503)]
    await blank.clock.install()
    await open_outbox(blank, services)
    await blank.evaluate(ADD, ["t1"])
    await becomes(blank, "t1", "waiting")
    await blank.clock.fast_forward(1_000)
    await becomes(blank, "t1", "saved")
    assert services.turn_ids() == [["t1"], ["t1"]]


async def test_enrichment_is_given_the_time_it_asks_for(blank, services):
    expose = {"Retry-After": "60", "access-control-expose-headers": "Retry-After"}
    services.answers = [JSONResponse({}, 503, headers=expose)]
    await open_outbox(blank, services)
    await blank.evaluate(ADD, ["t1"])
    await becomes(blank, "t1", "waiting")

    await go_online(blank)
    await blank.evaluate(ADD, ["t2"])

    stats = await becomes(blank, "t2", "waiting")
    assert stats["waiting"] == 2
    assert services.turn_ids() == [["t1"]]


async def test_a_dead_network_loses_nothing(blank, services, context):
    await open_outbox(blank, services)
    await context.set_offline(True)
    await blank.evaluate(ADD, ["t1", "t2"])
    await becomes(blank, "t2", "waiting")
    await context.set_offline(False)  # the browser says "online" by itself
    await becomes(blank, "t2", "saved")
    assert services.turn_ids() == [["t1", "t2"]]


async def test_a_turn_added_while_others_are_sent_is_not_stranded(blank, services):
    await open_outbox(blank, services)
    await blank.evaluate("""() => {
      for (let n = 0; n < 40; n++) outbox.add(route, [turn("t" + n)]);
    }""")
    stats = await becomes(blank, "t39", "saved")
    assert stats["waiting"] == 0
    assert services.all_turn_ids() == [f"t{n}" for n in range(40)]


async def test_a_reload_delivers_what_was_left_in_order(blank, services):
    services.closed = True
    await open_outbox(blank, services)
    await blank.evaluate(ADD, ["t1", "t2"])
    await becomes(blank, "t2", "waiting")
    await blank.evaluate(ADD, ["t3"])
    services.forget()

    await blank.reload()
    await open_outbox(blank, services)

    assert services.turn_ids() == [["t1", "t2", "t3"]]
    assert (await blank.evaluate("outbox.stats()"))["waiting"] == 0


async def test_an_expired_grant_is_renewed_once(blank, services):
    services.answers = [JSONResponse({}, 401)]
    await open_outbox(blank, services, renewed="grant-2")
    await blank.evaluate(ADD, ["t1"])
    await becomes(blank, "t1", "saved")
    assert [post["grant"] for post in services.posts] == ["grant-1", "grant-2"]
    assert await blank.evaluate("renewals") == ["session-1"]


async def test_a_grant_that_stays_expired_is_not_renewed_again_and_again(blank, services):
    services.answers = [JSONResponse({}, 401), JSONResponse({}, 401)]
    await open_outbox(blank, services, renewed="grant-2")
    await blank.evaluate(ADD, ["t1"])
    stats = await becomes(blank, "t1", "waiting")
    assert stats["waiting"] == 1
    assert len(services.posts) == 2


async def test_what_was_erased_is_not_kept_in_the_browser_either(blank, services):
    services.answers = [JSONResponse({}, 410)]
    await open_outbox(blank, services)
    await blank.evaluate(ADD, ["t1"])
    stats = await becomes(blank, "t1", "refused")
    assert stats == {"saved": 0, "rejected": 1, "refused": 0, "waiting": 0}

    await blank.evaluate("outbox.flush()")
    assert len(services.posts) == 1


async def test_a_session_that_takes_no_more_turns_is_set_aside(blank, services):
    services.answers = [JSONResponse({}, 403)]
    await open_outbox(blank, services)
    await blank.evaluate(ADD, ["t1"])
    assert (await becomes(blank, "t1", "refused"))["refused"] == 1

    await blank.evaluate("outbox.flush()")
    assert len(services.posts) == 1


async def test_one_unreadable_turn_does_not_hold_up_its_neighbours(blank, services):
    services.answers = [JSONResponse({}, 422), JSONResponse({}, 422)]  # the pair, then its first half
    await open_outbox(blank, services)
    await blank.evaluate(ADD, ["bad", "good"])
    await becomes(blank, "good", "saved")
    assert await blank.evaluate("saved.bad") == "refused"


async def test_many_turns_are_sent_in_several_posts_of_a_size_that_survives_a_closing_tab(blank, services):
    await open_outbox(blank, services)
    await blank.evaluate(
        "outbox.add(route, Array.from({ length: 12 }, (_, n) => turn('t' + n, 'ü'.repeat(4000))))"
    )
    await becomes(blank, "t11", "saved")
    assert services.all_turn_ids() == [f"t{n}" for n in range(12)]
    assert max(len(json.dumps(post, ensure_ascii=False).encode()) for post in services.posts) < 48 * 1024


async def test_a_disk_that_forgets_nothing_is_not_answered_with_a_storm(blank, services):
    await open_outbox(blank, services)
    await blank.evaluate("() => { IDBObjectStore.prototype.delete = () => { throw new Error('disk') } }")
    await blank.evaluate(ADD, ["t1"])
    await becomes(blank, "t1", "saved")
    await blank.evaluate("outbox.flush()")
    assert len(services.posts) <= 3


async def test_a_browser_without_storage_still_sends(blank, services):
    services.answers = [JSONResponse({}, 503)]
    await blank.evaluate(
        "() => { IDBFactory.prototype.open = () => { throw new DOMException('', 'SecurityError') } }"
    )
    await open_outbox(blank, services)
    await blank.evaluate(ADD, ["t1"])
    assert (await becomes(blank, "t1", "waiting"))["waiting"] == 1
    await go_online(blank)
    assert (await becomes(blank, "t1", "saved"))["waiting"] == 0


async def test_a_database_that_never_answers_does_not_stop_the_page(blank, services):
    await blank.clock.install()
    await blank.evaluate("() => { IDBFactory.prototype.open = () => ((window.asked = true), {}) }")
    opening = asyncio.ensure_future(open_outbox(blank, services))
    await blank.evaluate("until(() => window.asked, 'the database to be asked')")
    await blank.clock.fast_forward(3_000)
    await asyncio.wait_for(opening, 5)
    await blank.evaluate(ADD, ["t1"])
    await becomes(blank, "t1", "saved")


async def test_two_tabs_do_not_send_the_same_turns(blank, context, services):
    services.closed = True
    await open_outbox(blank, services)
    await blank.evaluate(ADD, ["t1", "t2"])
    await becomes(blank, "t2", "waiting")
    other = await context.new_page()
    await other.goto(f"{services.page}/blank")
    await open_outbox(other, services)
    services.forget()
    services.gate.clear()

    await asyncio.gather(go_online(blank), go_online(other))
    await blank.evaluate("""until(async () => {
      const { held, pending } = await navigator.locks.query();
      return held.length === 1 && pending.length === 1;
    }, "one tab to send and the other to wait")""")
    services.gate.set()

    for tab in (blank, other):
        await tab.evaluate("until(async () => (await outbox.stats()).waiting === 0, 'both tabs to be done')")
    assert services.turn_ids() == [["t1", "t2"]]


async def test_a_closing_tab_still_delivers_the_last_turn(blank, context, services):
    await open_outbox(blank, services)
    await blank.evaluate("addEventListener('pagehide', () => outbox.add(route, [turn('last')]))")
    await blank.close(run_before_unload=False)
    await services.has_posted(["last"])
