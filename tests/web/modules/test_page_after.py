"""After a call, and behind it: the card at its end, and the details that an operator asks for."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.web.modules.acted import asked, become, emit, saved, speak
from tests.web.modules.scenes import FIGURES

pytestmark = pytest.mark.asyncio(loop_scope="session")

TALK = [
    ["A1", "assistant", "Good mor", "interrupted"],
    ["U1", "user", "Hello"],
    ["U2", "user", "", "unheard"],
    ["A2", "assistant", "Welcome.", "final", "marcus"],
]


async def ended(page, *lines):
    await become(page, "listening", sessionId="session-1")
    await speak(page, *lines)
    await saved(page, A1="saved", U1="saved", A2="sending")
    await become(page, "ended", startedAtMs=1_790_000_000_000, spokenForMs=252_000)


async def test_a_call_ends_with_what_it_came_to(staged):
    await ended(staged, *TALK)
    await expect(staged.locator("#end-title")).to_have_text("Your conversation with Elena and Marcus")
    await expect(staged.locator("#end-facts")).to_have_text("4 min 12 s · 2 turns remembered")
    await saved(staged, A2="waiting")
    await expect(staged.locator("#end-facts")).to_have_text("4 min 12 s · 2 turns remembered, 1 will follow")
    await saved(staged, A2="saved")
    await expect(staged.locator("#end-facts")).to_have_text("4 min 12 s · 3 turns remembered")
    await become(staged, "connecting")
    await expect(staged.locator("#end-card")).to_be_hidden()


async def test_a_call_in_which_nothing_was_said_ends_without_ceremony(staged):
    await ended(staged)
    await expect(staged.locator("#end-card")).to_be_hidden()


async def test_the_transcript_can_be_taken_home(staged):
    await ended(staged, *TALK)
    async with staged.expect_download() as waiting:
        await staged.click("#end-download")
    download = await waiting.value
    assert download.suggested_filename == "conversation.txt"
    heading, *said = (await asyncio.to_thread(Path(await download.path()).read_text)).strip().split("\n\n")
    assert heading.startswith("Conversation of September 21, 2026")
    assert said == [
        "Elena: Good mor (interrupted)",
        "You: Hello",
        "You: (could not be transcribed)",
        "Marcus: Welcome.",
    ]


async def test_a_new_conversation_begins_with_an_empty_page(staged):
    await ended(staged, *TALK)
    await staged.click("#end-anew")
    await expect(staged.locator("#transcript li")).to_have_count(0)
    await expect(staged.locator("#end-card")).to_be_hidden()
    await expect(staged.locator("#start")).to_be_focused()
    await expect(staged.locator("#memory")).to_have_text("Memory on")
    assert await asked(staged) == ["start anew"]


async def test_a_conversation_can_be_forgotten_from_its_end(staged, services):
    await ended(staged, *TALK)
    await staged.click("#end-forget")
    await staged.click("#confirm-forget")
    await expect(staged.locator("#confirm-told")).to_have_text("This conversation is forgotten.")
    assert services.forgotten == ["/memory/episodes/session-1"]
    assert await asked(staged) == ["start anew"]
    await expect(staged.locator("#end-card")).to_be_hidden()
    await staged.click("#confirm-keep")
    await expect(staged.locator("#start")).to_be_focused()


async def test_a_call_that_broke_off_tells_why_beside_what_it_came_to(staged):
    await ended(staged, *TALK)
    await emit(staged, "ended", "lost")
    await expect(staged.locator("#problem h2")).to_have_text("The connection was lost")
    await expect(staged.locator("#end-card")).to_be_visible()


async def test_the_details_of_a_call_are_hidden_until_asked_for_and_can_be_copied(staged):
    await expect(staged.locator("#details")).to_be_hidden()
    await staged.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await staged.evaluate("(figures) => Object.assign(acted.facts, figures)", FIGURES)
    await become(staged, "listening", sessionId="session-1")
    await speak(staged, ["U1", "user", "My secret garden"])
    await staged.click("#settings-open")
    await staged.click("#details-open")
    details = staged.get_by_role("complementary", name="Call details")
    for shown in (
        "4bf92f3577b34da6a3ce929d0e0e4736",
        "direct",
        "212 ms",
        "148 ms",
        "1204 ms",
        "0.2 %",
        "srflx/udp",
    ):
        await expect(details).to_contain_text(shown)
    await staged.click("#details-copy")
    await expect(staged.locator("#details-told")).to_have_text("Copied.")
    copied = await staged.evaluate("navigator.clipboard.readText()")
    assert "Trace id: 4bf92f3577b34da6a3ce929d0e0e4736" in copied
    assert "moved: agent" in copied
    assert "garden" not in copied
    await staged.keyboard.press("Escape")
    await expect(details).to_be_hidden()
    assert await asked(staged) == []  # Escape was for the drawer
    await expect(staged.locator("#settings-open")).to_be_focused()


async def test_the_details_follow_the_call_as_long_as_they_are_open(staged):
    await staged.click("#settings-open")
    await staged.click("#details-open")
    await expect(staged.locator("#measures")).to_contain_text("Calls0")
    await staged.evaluate("acted.facts.calls = 2")
    await expect(staged.locator("#measures")).to_contain_text("Calls2")


async def test_a_browser_that_will_not_copy_says_so(staged):
    await staged.evaluate("void (navigator.clipboard.writeText = () => Promise.reject(new Error('no')))")
    await staged.click("#settings-open")
    await staged.click("#details-open")
    await staged.click("#details-copy")
    await expect(staged.locator("#details-told")).to_contain_text("Select the text")
