"""What a person sees of their memory, and forgets, against the real Enrichment."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_what_was_said_is_shown_as_remembered_until_the_person_forgets_it(open_page):
    person = await open_page()
    await person.write("I collect old sundials")
    await person.sees_turns(2)
    await person.remembered(2)
    await person.end()
    session_id = await person.session_id()

    await person.page.click("#memory")
    await expect(person.page.locator("#facts")).to_contain_text("“I collect old sundials”")
    await person.page.click("#memory-forget")
    await person.page.click("#confirm-forget")
    told = person.page.locator("#confirm-told")
    await expect(told).to_contain_text("This conversation is forgotten.")
    await expect(person.page.locator("#facts")).not_to_contain_text("sundials")

    async def nothing_left():
        return await person.episode(session_id) == []

    await until(nothing_left)
