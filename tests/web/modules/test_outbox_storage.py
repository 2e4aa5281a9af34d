"""The outbox on a disk that is full, slow, dead or not there: it still sends, and says what would be lost."""

from __future__ import annotations

import asyncio

import pytest

from tests.web.modules.outbox import (
    VERSION_1,
    add,
    becomes,
    flush,
    go_online,
    open_outbox,
    refusal,
    stats,
    stored,
)

pytestmark = pytest.mark.asyncio(loop_scope="session")

HANG = """() => {
  window.transaction = IDBDatabase.prototype.transaction;
  const request = () => ({});
  const store = { put: request, get: request, getAll: request, delete: request };
  IDBDatabase.prototype.transaction = () => ({ objectStore: () => store, commit: () => {} });
}"""


FILL = """() => {
  const { commit } = IDBTransaction.prototype;
  window.hasRoom = false;
  IDBTransaction.prototype.commit = function () {
    if (hasRoom) return commit.call(this);
    Object.defineProperty(this, "error", { value: new DOMException("", "QuotaExceededError") });
    this.abort();
  };
}"""


async def test_a_full_disk_drops_nothing_and_says_so_until_there_is_room(blank, services):
    services.closed = True
    await open_outbox(blank, services)
    await add(blank, "t1")
    await blank.evaluate(FILL)
    assert await add(blank, "t2") is False
    assert await blank.evaluate("full") == [True]
    counts = await stats(blank)
    assert (counts["waiting"], counts["unstored"]) == (2, 1)

    await blank.evaluate("() => { window.hasRoom = true }")
    await go_online(blank)
    await blank.evaluate("until(() => full.length === 2, 'room')")
    assert [row["turn"]["turn_id"] for row in await stored(blank)] == ["t1", "t2"]
    assert await blank.evaluate("full") == [True, False]

    services.closed = False
    await go_online(blank)
    await becomes(blank, "t2", "saved")
    assert services.turn_ids()[-1] == ["t1", "t2"]


async def test_the_browser_is_asked_once_not_to_throw_the_turns_away(blank, services):
    await blank.evaluate(
        "() => { window.asked = 0; navigator.storage.persist = async () => (window.asked++, true) }"
    )
    await open_outbox(blank, services)
    assert await blank.evaluate("asked") == 0
    await add(blank, "t1")
    await add(blank, "t2")
    assert await blank.evaluate("asked") == 1
    await becomes(blank, "t2", "saved")


async def test_a_disk_that_forgets_nothing_is_not_answered_with_a_storm(blank, services):
    await open_outbox(blank, services)
    await blank.evaluate("() => { IDBObjectStore.prototype.delete = () => { throw new Error('disk') } }")
    await add(blank, "t1")
    await becomes(blank, "t1", "saved")
    await flush(blank)
    assert services.turn_ids() == [["t1"]]


async def test_what_the_browser_throws_away_while_the_page_lives_is_stored_and_sent_again(blank, services):
    services.closed = True
    await open_outbox(blank, services)
    await add(blank, "t1")
    await becomes(blank, "t1", "waiting")
    await blank.evaluate("""() => new Promise((resolve) => {
      const opening = indexedDB.open("voicelive");
      opening.onsuccess = () => {
        const transaction = opening.result.transaction("unsent", "readwrite");
        transaction.objectStore("unsent").clear();
        transaction.oncomplete = () => (opening.result.close(), resolve());
      };
    })""")
    await go_online(blank)
    await flush(blank)
    await flush(blank)
    assert (await stats(blank))["waiting"] == 1
    services.closed = False
    await go_online(blank)
    await becomes(blank, "t1", "saved")


async def test_a_sandbox_that_forbids_locks_does_not_stop_the_outbox(blank, services):
    await blank.evaluate("""() => {
      const forbidden = () => Promise.reject(new DOMException("", "SecurityError"));
      navigator.locks.request = navigator.locks.query = forbidden;
    }""")
    services.answers = [refusal(503)]
    await open_outbox(blank, services)
    await add(blank, "t1")
    await becomes(blank, "t1", "waiting")
    await go_online(blank)
    await becomes(blank, "t1", "saved")


async def test_a_browser_without_storage_still_sends(blank, services):
    services.answers = [refusal(503)]
    await blank.evaluate(
        "() => { IDBFactory.prototype.open = () => { throw new DOMException('', 'SecurityError') } }"
    )
    await open_outbox(blank, services)
    assert await add(blank, "t1") is False
    counts = await becomes(blank, "t1", "waiting")
    assert (counts["waiting"], counts["unstored"]) == (1, 1)
    await go_online(blank)
    assert (await becomes(blank, "t1", "saved"))["waiting"] == 0


async def test_a_database_that_never_opens_does_not_stop_the_page(blank, services):
    await blank.clock.install()
    await blank.evaluate("() => { IDBFactory.prototype.open = () => ((window.asked = true), {}) }")
    opening = asyncio.ensure_future(open_outbox(blank, services))
    await blank.evaluate("until(() => window.asked, 'the database to be asked')")
    await blank.clock.fast_forward(3_000)
    await asyncio.wait_for(opening, 5)
    await add(blank, "t1")
    await becomes(blank, "t1", "saved")


async def test_a_database_that_an_older_page_holds_is_used_once_it_lets_go(blank, context, services):
    await blank.evaluate(VERSION_1)
    services.closed = True
    page = await context.new_page()
    await page.clock.install()
    await page.goto(f"{services.page}/blank")
    opening = asyncio.ensure_future(open_outbox(page, services))
    await page.evaluate("until(async () => (await indexedDB.databases()).length === 1)")
    while not opening.done():
        await page.clock.fast_forward(1_000)
    await opening
    assert (await stats(page))["unstored"] == 0
    adding = asyncio.ensure_future(add(page, "t1"))
    assert await adding is False
    await blank.evaluate("old.close()")
    await page.evaluate("until(() => outbox.stats().unstored === 0, 'the database')")
    assert [row["turn"]["turn_id"] for row in await stored(page)] == ["t1"]


async def test_what_a_database_that_opens_late_holds_is_sent_then(blank, services):
    services.closed = True
    await open_outbox(blank, services)
    await blank.evaluate("() => { navigator.sendBeacon = () => true }")
    await add(blank, "t1")
    await becomes(blank, "t1", "waiting")
    await blank.reload()
    services.forget()
    await blank.clock.install()
    await blank.evaluate("""() => {
      const { open } = IDBFactory.prototype;
      const late = new Promise((hurry) => (window.hurry = hurry));
      IDBFactory.prototype.open = function (...wish) {
        const slow = {};
        void late.then(() => {
          const request = open.apply(this, wish);
          request.onsuccess = () => ((slow.result = request.result), slow.onsuccess());
        });
        window.asked = true;
        return slow;
      };
    }""")
    opening = asyncio.ensure_future(open_outbox(blank, services))
    await blank.evaluate("until(() => window.asked, 'the database to be asked')")
    await blank.clock.fast_forward(3_000)
    await asyncio.wait_for(opening, 5)
    assert services.posts == []
    await blank.evaluate("hurry()")
    await services.has_posted(["t1"])


async def test_a_database_that_could_not_be_opened_is_tried_again(blank, services):
    """Such as one that a browser which was killed still holds."""
    services.closed = True
    await open_outbox(blank, services)
    await blank.evaluate("() => { navigator.sendBeacon = () => true }")
    await add(blank, "t1")
    await becomes(blank, "t1", "waiting")
    await blank.reload()
    services.forget()
    await blank.evaluate("""() => {
      const { open } = IDBFactory.prototype;
      IDBFactory.prototype.open = function (...wish) {
        IDBFactory.prototype.open = open;
        const request = { error: new DOMException("", "UnknownError") };
        queueMicrotask(() => request.onerror());
        return request;
      };
    }""")
    await open_outbox(blank, services)
    await services.has_posted(["t1"])
    await blank.evaluate("until(() => outbox.stats().waiting === 0, 'it to be saved')")
    assert await stored(blank) == []


async def test_a_disk_that_hangs_does_not_hold_up_the_outbox(blank, services):
    await blank.clock.install()
    await open_outbox(blank, services)
    await blank.evaluate(HANG)
    adding = asyncio.ensure_future(add(blank, "t1"))
    await becomes(blank, "t1", "saved")
    await blank.clock.fast_forward(5_000)
    assert await asyncio.wait_for(adding, 5) is False
    await blank.clock.fast_forward(5_000)  # to forget it hangs too
    await blank.evaluate("() => { IDBDatabase.prototype.transaction = window.transaction }")
    await add(blank, "t2")
    await becomes(blank, "t2", "saved")
    assert services.turn_ids() == [["t1"], ["t2"]]
