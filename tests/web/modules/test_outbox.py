"""The outbox: a turn is stored, posted, and forgotten only when Enrichment has it."""

from __future__ import annotations

import asyncio
import json

import pytest
from starlette.responses import JSONResponse

from tests.web.modules.outbox import (
    ALICE,
    NOTHING,
    add,
    becomes,
    flush,
    listing,
    open_outbox,
    refusal,
    stats,
    stored,
)

pytestmark = pytest.mark.asyncio(loop_scope="session")

ORDER = """async (grant) => {
  const order = [];
  const { put } = IDBObjectStore.prototype, { commit } = IDBTransaction.prototype, { fetch } = window;
  IDBObjectStore.prototype.put = function (row) {
    order.push("put " + this.transaction.durability);
    return put.call(this, row);
  };
  IDBTransaction.prototype.commit = function () {
    order.push("commit");
    return commit.call(this);
  };
  window.fetch = (url, request) => {
    order.push("post keepalive=" + request.keepalive);
    return fetch(url, request);
  };
  const isStored = add(["t1"], { grant });
  const atOnce = [...order];
  await isStored;
  return atOnce;
}"""


async def test_a_turn_is_posted_in_one_simple_request_and_then_forgotten(blank, services):
    await open_outbox(blank, services)
    assert await add(blank, "t1", "t2") is True
    assert await becomes(blank, "t2", "saved") == NOTHING | {"saved": 2}

    assert services.turn_ids() == [["t1", "t2"]]
    assert (services.posts[0]["grant"], services.posts[0]["session_id"]) == (ALICE, "session-1")
    assert services.content_types == ["text/plain;charset=UTF-8"]
    assert services.preflights == 0
    assert await stored(blank) == []


async def test_a_turn_is_being_stored_before_it_is_sent_and_both_in_one_task(blank, services):
    await open_outbox(blank, services)
    assert await blank.evaluate(ORDER, ALICE) == ["put strict", "commit", "post keepalive=true"]
    await becomes(blank, "t1", "saved")


async def test_no_grant_and_no_token_is_ever_on_the_disk(blank, services):
    services.closed = True
    await open_outbox(blank, services)
    await add(blank, "t1")
    await becomes(blank, "t1", "waiting")
    [row] = await stored(blank)
    assert row.keys() == {"id", "sub", "session_id", "turn", "order", "stored_at", "tab", "partial"}
    assert (row["sub"], row["session_id"], row["turn"]["turn_id"]) == ("alice", "session-1", "t1")
    assert ALICE not in json.dumps(row)


async def test_only_the_turns_that_the_answer_lists_are_deleted(blank, services):
    services.answers = [listing(["t1"], ["t2"], ["t3"])]
    await open_outbox(blank, services)
    await add(blank, "t1", "t2", "t3", "t4")

    assert await becomes(blank, "t4", "waiting") == NOTHING | {"saved": 2, "rejected": 1, "waiting": 1}
    assert await blank.evaluate("saved.t3") == "refused"
    assert [row["turn"]["turn_id"] for row in await stored(blank)] == ["t4"]


async def test_a_202_that_is_not_ours_deletes_nothing(blank, services):
    services.answers = [JSONResponse({}, 202)]
    await open_outbox(blank, services)
    await add(blank, "t1")
    assert (await becomes(blank, "t1", "waiting"))["waiting"] == 1


async def test_a_turn_does_not_overtake_the_one_before_it(blank, services):
    await open_outbox(blank, services)
    services.gate.clear()
    await add(blank, "t1")
    await add(blank, "t2")
    await add(blank, "other", session="session-2")
    await services.has_posted(["t1"], ["other"])
    services.gate.set()
    await services.has_posted(["t1"], ["other"], ["t2"])
    await becomes(blank, "t2", "saved")


async def test_a_turn_added_while_the_one_before_it_is_being_deleted_is_sent_once(blank, services):
    await open_outbox(blank, services)
    await blank.evaluate(
        """(grant) => outbox.on("change", ({ turnId, saved }) => {
          if (turnId === "t1" && saved === "saved") add(["t2"], { grant });
        })""",
        ALICE,
    )
    await add(blank, "t1")
    await becomes(blank, "t2", "saved")
    await flush(blank)
    assert services.turn_ids() == [["t1"], ["t2"]]


async def test_a_turn_added_while_others_are_sent_is_not_stranded(blank, services):
    await open_outbox(blank, services)
    await asyncio.gather(*(add(blank, f"t{number}") for number in range(40)))
    counts = await becomes(blank, "t39", "saved")
    assert counts == NOTHING | {"saved": 40}
    assert services.all_turn_ids() == [f"t{number}" for number in range(40)]


async def test_many_turns_are_sent_in_several_posts_of_a_size_that_survives_a_closing_tab(blank, services):
    await open_outbox(blank, services)
    await add(blank, *(f"t{number}" for number in range(12)), text="ü" * 4_000)
    await becomes(blank, "t11", "saved")
    assert services.all_turn_ids() == [f"t{number}" for number in range(12)]
    assert max(len(json.dumps(post, ensure_ascii=False).encode()) for post in services.posts) < 48 * 1024


async def test_what_is_kept_alive_beyond_the_page_stays_below_what_browsers_allow(blank, services):
    """A browser that is asked for more than 64 KiB in flight refuses, as if there were no network."""
    await open_outbox(blank, services)
    await blank.evaluate("""() => {
      const { fetch } = window;
      window.sent = [];
      window.fetch = (url, request) => {
        sent.push([request.keepalive === true, request.body.length]);
        return fetch(url, request);
      };
    }""")
    services.gate.clear()
    for number in range(5):
        await add(blank, f"t{number}", f"u{number}", session=f"session-{number}", text="x" * 7_900)
    sent = await blank.evaluate("sent")
    services.gate.set()
    assert [is_kept for is_kept, _ in sent] == [True, True, True, False, False]
    assert sum(size for is_kept, size in sent if is_kept) <= 48 * 1024
    await blank.evaluate("until(() => outbox.stats().saved === 10, 'all to be saved')")


async def test_the_number_of_unsent_turns_is_told_as_it_changes(blank, services):
    services.closed = True
    await open_outbox(blank, services)
    await add(blank, "t1")
    await add(blank, "t2")
    await becomes(blank, "t2", "waiting")
    services.closed = False
    await blank.evaluate("() => { dispatchEvent(new Event('online')) }")
    await becomes(blank, "t2", "saved")
    assert await blank.evaluate("unsent") == [1, 2, 0]


async def test_what_already_left_is_not_sent_again(blank, services):
    await open_outbox(blank, services)
    await add(blank, "t1")
    await becomes(blank, "t1", "saved")
    await flush(blank)
    assert services.turn_ids() == [["t1"]]


async def test_a_turn_is_stored_once_however_often_it_is_added(blank, services):
    services.answers = [refusal(503)]
    await open_outbox(blank, services)
    await add(blank, "t1")
    await becomes(blank, "t1", "waiting")
    await add(blank, "t1")
    assert (await stats(blank))["waiting"] == 1
