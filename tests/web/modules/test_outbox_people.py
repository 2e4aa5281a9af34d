"""One browser, several people: what one said goes into nobody else's memory, and away when they sign out."""

from __future__ import annotations

import pytest

from tests.web.modules.outbox import (
    ALICE,
    BOB,
    NOTHING,
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

DAY_MS = 24 * 3_600_000


async def alices(page, services, *turn_ids):
    """Somebody else opens the page, where turns of alice wait."""
    await open_outbox(page, services)
    await page.evaluate("() => { navigator.sendBeacon = () => true }")
    services.closed = True
    await add(page, *turn_ids)
    await becomes(page, turn_ids[-1], "waiting")
    await page.reload()
    services.forget()


def who(rows):
    return [(row["sub"], row["turn"]["turn_id"]) for row in rows]


async def test_somebody_else_s_turns_are_left_alone_and_the_person_s_own_are_sent(blank, services):
    await alices(blank, services, "hers")
    await open_outbox(blank, services, renewed=BOB)
    await add(blank, "his", grant=BOB)
    assert await becomes(blank, "his", "saved") == NOTHING | {"saved": 1, "others": 1}
    await flush(blank)
    assert services.turn_ids() == [["his"]]
    assert who(await stored(blank)) == [("alice", "hers")]
    assert await blank.evaluate("unsent.at(-1)") == 0


async def test_a_grant_is_asked_for_once_to_learn_that_they_are_somebody_else_s(blank, services):
    await alices(blank, services, "hers")
    await open_outbox(blank, services, renewed=BOB)
    for _ in range(3):
        await flush(blank)
    assert await blank.evaluate("renewals") == ["session-1"]


async def test_two_people_with_the_same_session_keep_apart(blank, services):
    services.closed = True
    await open_outbox(blank, services)
    await add(blank, "hers", grant=ALICE)
    await becomes(blank, "hers", "waiting")
    services.closed = False
    await add(blank, "his", grant=BOB)
    await blank.evaluate("() => { dispatchEvent(new Event('online')) }")
    await becomes(blank, "his", "saved")
    assert [(post["grant"], ids) for post, ids in zip(services.posts, services.turn_ids(), strict=True)] == [
        (ALICE, ["hers"]),
        (BOB, ["his"]),
    ]
    assert who(await stored(blank)) == [("alice", "hers")]


async def test_the_next_visit_of_whose_they_are_sends_them(blank, services, context):
    await alices(blank, services, "hers")
    await open_outbox(blank, services, renewed=BOB)
    await blank.close()
    later = await tab(context, services)
    assert services.turn_ids() == [["hers"]]
    assert await stored(later) == []


async def test_somebody_else_s_turns_expire_after_a_week(blank, services):
    await alices(blank, services, "hers")
    await blank.clock.install()
    await open_outbox(blank, services, renewed=BOB)
    await blank.clock.fast_forward(6 * DAY_MS)
    await flush(blank)
    assert who(await stored(blank)) == [("alice", "hers")]
    await blank.clock.fast_forward(DAY_MS + 1)
    await flush(blank)
    assert await stored(blank) == []
    assert services.posts == []


async def test_signing_out_forgets_what_is_the_person_s_and_nothing_else(blank, services):
    await alices(blank, services, "hers")
    await open_outbox(blank, services, renewed=BOB)
    services.closed = True
    await add(blank, "his", grant=BOB)
    await becomes(blank, "his", "waiting")
    await hear(blank, "answer", "As I was", grant=BOB)
    await blank.evaluate("until(() => outbox.stats().partial === 1, 'the answer to be kept')")
    assert await blank.evaluate("outbox.clear()") == 1
    assert who(await stored(blank)) == [("alice", "hers")]
    assert await blank.evaluate("saved.his") == "refused"


async def test_signing_out_can_send_first(blank, services):
    services.closed = True
    await open_outbox(blank, services)
    await add(blank, "t1", "t2")
    await becomes(blank, "t2", "waiting")
    services.closed = False
    assert await blank.evaluate("outbox.sendThenClear()") == 0
    assert services.turn_ids()[1:] == [["t1", "t2"]]
    assert await stats(blank) == NOTHING | {"saved": 2}


async def test_what_could_not_be_sent_before_signing_out_is_counted_and_forgotten(blank, services):
    services.closed = True
    await open_outbox(blank, services)
    await add(blank, "t1", "t2")
    await becomes(blank, "t2", "waiting")
    assert await blank.evaluate("outbox.sendThenClear()") == 2
    assert await stored(blank) == []


async def test_signing_out_before_anything_was_said_still_forgets_what_waited(blank, services):
    await alices(blank, services, "hers")
    services.closed = True
    await open_outbox(blank, services)
    assert await blank.evaluate("outbox.clear()") == 1
    assert await stored(blank) == []
