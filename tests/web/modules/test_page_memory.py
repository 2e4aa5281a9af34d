"""Memory on the page, apart from the voice: how it stands, what it holds, and how it forgets."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.web.modules.acted import asked, become, emit, saved, speak

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def shows(page, state, text):
    await expect(page.locator("#memory")).to_have_attribute("data-state", state)
    await expect(page.locator("#memory")).to_have_text(text)


async def test_memory_says_whether_it_is_on_delayed_or_off_and_how_much_is_unsent(staged):
    await shows(staged, "on", "Memory on")
    await emit(staged, "memory", {"status": "hit", "facts": 1})
    await speak(staged, ["U1", "user", "Hello"], ["A1", "assistant", "Hello"], ["U2", "user", "Bye"])
    await saved(staged, U1="saved", A1="saved")
    await shows(staged, "on", "Memory on · 1 fact · 2 kept")
    await saved(staged, U2="waiting")
    await shows(staged, "delayed", "Memory delayed · 1 unsent")
    await emit(staged, "memory", {"status": "timeout", "facts": 0})
    await saved(staged, U2="saved")
    await shows(staged, "delayed", "Memory delayed")
    await emit(staged, "memory", {"status": "off", "facts": 0})
    await shows(staged, "off", "Memory off")


async def test_turns_of_an_earlier_visit_count_too_and_one_on_its_way_does_not(staged):
    await staged.evaluate("outbox.emit('unsent', 4)")
    await shows(staged, "delayed", "Memory delayed · 4 unsent")
    await saved(staged, U1="sending")
    await staged.evaluate("outbox.emit('unsent', 1)")
    await shows(staged, "on", "Memory on")
    await saved(staged, OLD="saved")  # of another conversation
    await shows(staged, "on", "Memory on")


async def test_a_browser_that_can_store_no_more_asks_to_be_kept_open(staged):
    await staged.evaluate("outbox.emit('full', true); outbox.emit('unsent', 2)")
    await shows(staged, "delayed", "Memory delayed · 2 unsent")
    await staged.click("#memory")
    await expect(staged.locator("#memory-now")).to_contain_text("keep it open")
    await staged.evaluate("outbox.emit('full', false); outbox.emit('unsent', 0)")
    await expect(staged.locator("#memory-now")).to_contain_text("Memory is on")


async def test_each_turn_says_how_far_it_came(staged):
    await become(staged, "listening")
    await speak(staged, ["U1", "user", "Hello"])
    for how, words in (
        ("sending", "sending"),
        ("waiting", "will retry"),
        ("saved", "kept"),
        ("refused", "not be kept"),
    ):
        await saved(staged, U1=how)
        await expect(staged.locator("[data-turn-id=U1] small")).to_contain_text(words)


async def test_one_can_look_what_is_remembered_and_look_again_when_memory_was_away(staged, services):
    services.facts = None
    await staged.click("#memory")
    await expect(staged.locator("#facts-note")).to_contain_text("Your call is not affected")
    services.facts = ['2026-11-19: the person said "I keep "two" hives."', "Ada keeps bees."]
    await staged.click("#facts-again")
    await expect(staged.locator("#facts p")).to_have_text(['“I keep "two" hives.”', "Ada keeps bees."])
    await expect(staged.locator("#facts small")).to_have_text(["November 19, 2026"])
    await expect(staged.locator("#facts-note")).to_be_empty()


async def test_a_person_nobody_knows_is_told_so_and_has_no_conversation_to_forget(staged, services):
    await staged.click("#memory")
    await expect(staged.locator("#facts-note")).to_contain_text("Nothing yet")
    await expect(staged.locator("#memory-forget")).to_be_disabled()
    await expect(staged.locator("#memory-forget-all")).to_be_enabled()


async def test_where_memory_is_off_there_is_nothing_to_look_at(staged, services):
    services.memory = False
    await staged.reload()
    await shows(staged, "off", "Memory off")
    await staged.click("#memory")
    await expect(staged.locator("#memory-now")).to_contain_text("Memory is off here")
    await expect(staged.locator("#memory-known")).to_be_hidden()


async def in_a_call(page):
    await become(page, "speaking", sessionId="session-1")
    await speak(page, ["A1", "assistant", "Hello"])
    await saved(page, A1="saved")


async def test_nothing_is_forgotten_before_it_is_confirmed(staged, services):
    await in_a_call(staged)
    await staged.click("#memory")
    await staged.click("#memory-forget")
    await expect(staged.get_by_role("alertdialog", name="Forget this conversation?")).to_be_visible()
    await expect(staged.locator("#confirm-keep")).to_be_focused()
    await staged.keyboard.press("Enter")
    await expect(staged.locator("#confirm")).to_be_hidden()
    assert services.forgotten == []
    assert await asked(staged) == []
    await expect(staged.locator("#transcript li")).to_have_count(1)


async def test_forgetting_a_conversation_ends_its_call_and_leaves_nothing_of_it(staged, services):
    await in_a_call(staged)
    await staged.click("#memory")
    await staged.click("#memory-forget")
    services.erasing.clear()
    await staged.click("#confirm-forget")
    await expect(staged.locator("#confirm-told")).to_have_text("Forgetting …")
    await expect(staged.locator("#confirm-forget")).to_be_disabled()
    services.erasing.set()
    await expect(staged.locator("#confirm-told[role=status]")).to_have_text("This conversation is forgotten.")
    assert services.forgotten == ["/memory/episodes/session-1"]
    assert await asked(staged) == ["end", "start anew"]
    await expect(staged.locator("#transcript li")).to_have_count(0)
    await staged.click("#confirm-keep")
    await expect(staged.locator("#memory-forget")).to_be_disabled()
    await expect(staged.locator("#memory-sheet [data-close]")).to_be_focused()
    await shows(staged, "on", "Memory on")


async def test_everything_about_a_person_can_be_forgotten_and_later_is_said_to_be_later(staged, services):
    services.facts = ["Ada keeps bees."]
    services.erasure = 202
    await staged.click("#memory")
    await expect(staged.locator("#facts li")).to_have_count(1)
    await staged.click("#memory-forget-all")
    services.facts = []
    await staged.click("#confirm-forget")
    await expect(staged.locator("#confirm-told")).to_contain_text("Memory has still to confirm it")
    await expect(staged.locator("#facts li")).to_have_count(0)
    assert services.forgotten == ["/memory/users/me"]


async def test_what_could_not_be_forgotten_is_said_and_can_be_tried_again(staged, services):
    await in_a_call(staged)
    services.erasure = 503
    await staged.click("#memory")
    await staged.click("#memory-forget")
    await staged.click("#confirm-forget")
    await expect(staged.locator("#confirm-told")).to_contain_text("Not forgotten yet")
    await expect(staged.locator("#transcript li")).to_have_count(1)
    services.erasure = 200
    await staged.click("#confirm-forget")
    await expect(staged.locator("#confirm-told")).to_have_text("This conversation is forgotten.")
    assert (await asked(staged)).count("start anew") == 1
