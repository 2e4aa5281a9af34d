"""What the page says of the trace that its requests belong to."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from broker.edge.telemetry import TRACEPARENT
from tests.web.modules.page import is_in, says, start
from tests.web.modules.realtime_events import added, delta, done, heard, sound, started, stopped

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_the_turns_of_a_call_name_the_trace_of_the_request_for_its_token(page, services):
    await start(page)
    await says(page, started("U1"), stopped("U1"), added("U1", None))
    await says(page, added("A1", "U1", "assistant"), sound("started"), delta("A1", "Good "))
    await says(page, done("A1", "Good morning."), heard("U1", "Hello?"), sound("stopped"))
    await expect(page.locator("#transcript li[data-saved=saved]")).to_have_count(2)
    await page.click("#start")
    await is_in(page, "ended")

    (asked,) = services.traceparents
    sent = [post["traceparent"] for post in services.posts]
    assert sent
    assert all(TRACEPARENT.fullmatch(each) for each in (asked, *sent))
    assert {each[3:35] for each in sent} == {asked[3:35]}
