"""Answers that are still being heard: kept as far as they came, and sent only when their page is gone."""

from __future__ import annotations

import pytest

from tests.waiting import until
from tests.web.modules.outbox import (
    ALICE,
    add,
    becomes,
    flush,
    hear,
    open_outbox,
    stats,
    stored,
    tab,
)

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def heard(page, text):
    """Waits until so much of an answer is on the disk."""

    async def is_stored():
        return [row["turn"]["text"] for row in await stored(page) if row["partial"]] == [text]

    await until(is_stored)


async def test_an_answer_is_kept_as_it_grows_and_not_sent(blank, services):
    await open_outbox(blank, services)
    await hear(blank, "A1", "Let me")
    await heard(blank, "Let me")
    await hear(blank, "A1", "Let me tell")
    await hear(blank, "A1", "Let me tell you")
    await heard(blank, "Let me tell you")
    await flush(blank)
    assert services.posts == []
    assert (await stats(blank))["partial"] == 1
    assert await blank.evaluate("outbox.waitingTurns('session-1')") == []


async def test_an_answer_is_written_once_a_second_at_most(blank, services):
    await open_outbox(blank, services)
    await blank.clock.install()
    await blank.evaluate("""() => {
      const { put } = IDBObjectStore.prototype;
      window.puts = [];
      IDBObjectStore.prototype.put = function (row) {
        puts.push(row.turn.text);
        return put.call(this, row);
      };
    }""")
    await hear(blank, "A1", "0")
    await blank.evaluate("until(() => puts.length === 1, 'the first word')")
    for number in range(1, 50):
        await hear(blank, "A1", str(number))
    await blank.clock.fast_forward(1_000)
    await blank.evaluate("until(() => puts.length === 2, 'the last word')")
    await blank.clock.fast_forward(10_000)
    assert await blank.evaluate("puts") == ["0", "49"]


async def test_the_whole_turn_replaces_what_was_heard_of_it(blank, services):
    services.closed = True
    await open_outbox(blank, services)
    await hear(blank, "A1", "Let me")
    await heard(blank, "Let me")
    await hear(blank, "A1", "Let me tell")
    await add(blank, "A1")
    await hear(blank, "A1", "a delta that came late")
    assert [(row["partial"], row["turn"]["text"]) for row in await stored(blank)] == [(False, "words of A1")]
    await becomes(blank, "A1", "waiting")  # its first post was refused
    services.closed = False
    await blank.evaluate("() => { dispatchEvent(new Event('online')) }")
    await becomes(blank, "A1", "saved")
    assert await stored(blank) == []
    assert [post["turns"][0]["text"] for post in services.posts] == ["words of A1"] * 2


async def test_another_tab_sends_nothing_of_an_answer_whose_page_lives(blank, context, services):
    await open_outbox(blank, services)
    await hear(blank, "A1", "Let me")
    await heard(blank, "Let me")
    other = await tab(context, services)
    await flush(other)
    assert services.posts == []
    assert [row["partial"] for row in await stored(other)] == [True]


async def test_once_its_page_is_gone_an_answer_is_sent_as_interrupted(blank, context, services):
    await open_outbox(blank, services)
    await add(blank, "U1")
    await becomes(blank, "U1", "saved")
    await hear(blank, "A1", "I was about to")
    await heard(blank, "I was about to")
    await blank.close()
    later = await tab(context, services)
    assert services.turn_ids() == [["U1"], ["A1"]]
    [turn] = services.posts[1]["turns"]
    assert (turn["text"], turn["interrupted"], turn["speaker"]) == ("I was about to", True, "assistant")
    assert await stored(later) == []


async def test_an_answer_that_became_whole_meanwhile_is_not_cut_off_by_another_tab(blank, context, services):
    """The other tab has read it as partial; before it acts, its page stores the whole turn and lets go."""
    await open_outbox(blank, services)
    await hear(blank, "A1", "Let me")
    await heard(blank, "Let me")
    other = await tab(context, services)
    await other.evaluate("""() => {
      const { query } = navigator.locks;
      const released = new Promise((release) => (window.release = release));
      navigator.locks.query = async () => {
        window.hasAsked = true;
        await released;
        return { held: [], pending: [] };
      };
    }""")
    await other.evaluate("() => { void outbox.flush(); return until(() => window.hasAsked) }")
    services.closed = True
    await add(blank, "A1")
    await becomes(blank, "A1", "waiting")
    await other.evaluate("() => { release(); return outbox.flush() }")
    assert [(row["partial"], row["turn"]["text"]) for row in await stored(other)] == [(False, "words of A1")]


async def test_a_page_that_hears_nothing_holds_no_lock(blank, services):
    """A held lock may keep a page out of the back/forward cache."""
    held = "async () => (await navigator.locks.query()).held.map(({ name }) => name.replace(/-[0-9-]+$/, ''))"
    await open_outbox(blank, services)
    assert await blank.evaluate(held) == []
    await hear(blank, "A1", "Let me")
    await heard(blank, "Let me")
    assert await blank.evaluate(held) == ["engram-tab"]
    await add(blank, "A1")
    await becomes(blank, "A1", "saved")
    await blank.evaluate(f"until(async () => (await ({held})()).length === 0, 'the lock to be let go')")


async def test_without_locks_only_time_tells_that_a_page_is_gone(blank, context, services):
    for page in (blank, other := await context.new_page()):
        await page.add_init_script("Object.defineProperty(navigator, 'locks', { value: undefined })")
        await page.goto(f"{services.page}/blank")
    await open_outbox(blank, services)
    await hear(blank, "A1", "Let me", grant=ALICE)
    await heard(blank, "Let me")
    await other.clock.install()
    await open_outbox(other, services)
    assert services.posts == []
    await other.clock.fast_forward(121_000)
    await flush(other)
    assert services.turn_ids() == [["A1"]]
