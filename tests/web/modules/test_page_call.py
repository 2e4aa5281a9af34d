"""What the page shows of a call, and what a person can do in it: agents, sound, keys, time."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.web.modules.acted import asked, become, emit, speak
from tests.web.modules.page import is_in

pytestmark = pytest.mark.asyncio(loop_scope="session")

PRESSED = "#agents [aria-pressed=true]"


async def test_before_a_call_choosing_a_person_is_choosing_whom_to_call(staged):
    await staged.click("button[data-agent=sage]")
    await expect(staged.locator("#name")).to_have_text("Sage")
    await expect(staged.locator("#hint")).to_have_text("Storyteller")
    await expect(staged.locator(PRESSED)).to_have_attribute("data-agent", "sage")
    assert await asked(staged) == ["switch to sage"]


async def test_in_a_call_another_person_comes_and_it_is_told_when_they_are_there(staged):
    await become(staged, "listening")
    await staged.evaluate("void (acted.switching = new Promise((done) => (window.arrive = done)))")
    await staged.click("button[data-agent=marcus]")
    await expect(staged.locator("[aria-busy=true]")).to_have_attribute("data-agent", "marcus")
    await expect(staged.locator("#told[role=status]")).to_have_text("Marcus is joining …")
    await expect(staged.locator("#name")).to_have_text("Elena")
    await become(staged, "speaking")  # Elena finishes
    await expect(staged.locator("[aria-busy=true]")).to_have_attribute("data-agent", "marcus")

    await staged.evaluate("arrive()")
    await expect(
        staged.get_by_role("status").filter(has_text="You are now talking with Marcus.")
    ).to_be_visible()
    await expect(staged.locator(PRESSED)).to_have_attribute("data-agent", "marcus")
    await expect(staged.locator("[aria-busy=true]")).to_have_count(0)
    await speak(
        staged, ["A1", "assistant", "Hello", "final", "elena"], ["A2", "assistant", "Hi", "final", "marcus"]
    )
    await expect(staged.locator("#transcript li > span")).to_have_text(["Elena", "Marcus"])


async def test_a_person_who_cannot_come_leaves_the_other_one_there(staged):
    await become(staged, "listening")
    await staged.evaluate("acted.refusal = new Error('no')")
    await staged.click("button[data-agent=marcus]")
    await expect(staged.locator("#problem")).to_be_visible()
    await expect(staged.locator(PRESSED)).to_have_attribute("data-agent", "elena")
    await expect(staged.locator("[aria-busy=true]")).to_have_count(0)
    await asked(staged)
    await staged.click("#retry")
    await expect(staged.locator(PRESSED)).to_have_attribute("data-agent", "marcus")
    assert await asked(staged) == ["switch to marcus"]


@pytest.mark.parametrize(
    ("why", "words"),
    [
        ("loss", "You are connected again."),
        ("limit", "A new call has begun"),
        ("agent", "You are now talking with"),
    ],
)
async def test_it_is_told_quietly_why_a_conversation_goes_on_in_another_call(staged, why, words):
    await become(staged, "listening")
    await emit(staged, "moved", {"why": why, "agentId": "elena"})
    await expect(staged.locator("#told[role=status]")).to_contain_text(words)
    await expect(staged.locator("#problem")).to_be_hidden()


async def test_reconnecting_is_neither_a_call_nor_its_end(staged):
    await become(staged, "reconnecting")
    await is_in(staged, "reconnecting")
    await expect(staged.locator("#hint")).to_contain_text("being restored")
    await expect(staged.locator("#start")).to_have_text("End")
    await expect(staged.locator("button[data-agent=marcus]")).to_be_disabled()
    await expect(staged.locator("#problem")).to_be_hidden()


async def test_the_keys_do_what_is_listed_and_never_while_one_writes(staged):
    await become(staged, "speaking")
    await staged.keyboard.press("m")
    await is_in(staged, "muted")
    await staged.keyboard.press("M")
    await is_in(staged, "listening")
    await staged.keyboard.press("Escape")
    assert await asked(staged) == ["stop talking"]
    await staged.keyboard.press("/")
    await expect(staged.locator("#text")).to_be_focused()
    await staged.keyboard.type("mm?")
    await expect(staged.locator("#text")).to_have_value("mm?")
    await is_in(staged, "listening")
    await staged.keyboard.press("Escape")
    assert await asked(staged) == ["stop talking"]

    await staged.locator("#start").focus()
    await staged.keyboard.press("?")
    await expect(staged.locator("#settings")).to_be_visible()
    await expect(staged.locator("#settings kbd")).to_have_text(["M", "Esc", "/", "?"])
    await staged.uncheck("#letters")
    await staged.keyboard.press("Escape")
    await expect(staged.locator("#settings")).to_be_hidden()
    assert await asked(staged) == []  # Escape was for the sheet
    await staged.keyboard.press("m")
    await is_in(staged, "listening")


async def test_stopping_the_talk_keeps_the_keyboard_where_it_was(staged):
    await become(staged, "speaking")
    await staged.focus("#stop-talking")
    await staged.keyboard.press("Enter")
    await become(staged, "listening")
    await expect(staged.locator("#stop-talking")).to_be_focused()
    await expect(staged.locator("#stop-talking")).to_have_attribute("aria-disabled", "true")


async def test_without_a_microphone_there_is_nothing_to_mute(staged):
    await become(staged, "listening", hasMicrophone=False)
    await staged.keyboard.press("m")
    await is_in(staged, "listening")
    await expect(staged.locator("#mute")).to_be_hidden()


async def test_the_orb_breathes_with_the_microphone_and_rests_when_it_is_closed(staged):
    await become(staged, "listening", level=0.5)
    await expect(staged.locator(".orb")).to_have_attribute("style", "--level: 0.50;")
    await become(staged, "muted", isMuted=True)
    await expect(staged.locator(".orb")).to_have_attribute("style", "--level: 0.00;")


async def test_who_is_not_heard_is_told_and_led_to_the_microphones(staged):
    found = {
        "microphones": [{"id": "m1", "label": "Built-in"}, {"id": "m2", "label": "Headset"}],
        "speakers": [],
    }
    await staged.evaluate("(found) => Object.assign(acted.found, found, { microphoneId: 'm1' })", found)
    await become(staged, "listening")
    await emit(staged, "unheard", True)
    await expect(staged.locator("#unheard [role=status]")).to_contain_text("hear you")
    await staged.click("#unheard button")
    await expect(staged.locator("#microphone-choice")).to_have_value("m1")
    await expect(staged.locator("#output-field")).to_be_hidden()  # where the browser lets nobody choose
    await staged.select_option("#microphone-choice", label="Headset")
    await staged.evaluate("until(() => acted.asked.includes('microphone m2'))")
    await staged.keyboard.press("Escape")
    await emit(staged, "unheard", False)
    await expect(staged.locator("#unheard button")).to_be_hidden()


async def test_a_microphone_that_cannot_be_used_is_told_and_the_list_shows_the_one_in_use(staged):
    microphones = [{"id": "m1", "label": ""}, {"id": "m2", "label": ""}]
    await staged.evaluate("(found) => Object.assign(acted.found, found)", {"microphones": microphones})
    await become(staged, "listening")
    await staged.click("#settings-open")
    await expect(staged.locator("#microphone-choice option")).to_have_text(["Microphone 1", "Microphone 2"])
    await expect(staged.locator("#devices-nameless")).to_be_visible()
    await staged.evaluate(
        """async () => {
          const { MicrophoneError } = await import("./microphone.js");
          acted.refusal = new MicrophoneError("busy");
        }"""
    )
    await staged.select_option("#microphone-choice", "m2")
    await expect(staged.locator("#devices-note")).to_contain_text("in use")
    await expect(staged.locator("#microphone-choice")).to_have_value("m1")

    microphones.append({"id": "m3", "label": "New headset"})
    await staged.evaluate("(found) => Object.assign(acted.found, found)", {"microphones": microphones})
    await emit(staged, "devices")
    await expect(staged.locator("#microphone-choice option")).to_have_count(3)


async def test_the_time_left_appears_at_five_minutes_and_warns_at_one(staged):
    left = staged.locator("#left[role=status]")
    await staged.evaluate("acted.callEndsAtMs = Date.now() + 6 * 60_000")
    await become(staged, "listening")
    await expect(left).to_be_empty()
    await staged.evaluate("acted.callEndsAtMs = Date.now() + 5 * 60_000")
    await expect(left).to_have_text("5 minutes left")  # as time goes by, whatever else happens
    await expect(left).to_have_attribute("data-is-warning", "false")
    await staged.evaluate("acted.callEndsAtMs = Date.now() + 59_000")
    await become(staged, "speaking")
    await expect(left).to_have_text("Less than a minute left")
    await expect(left).to_have_attribute("data-is-warning", "true")
    await staged.evaluate("acted.callEndsAtMs = Date.now() + 30 * 60_000")
    await emit(staged, "moved", {"why": "limit", "agentId": "elena"})
    await expect(left).to_be_empty()


async def test_who_reads_what_was_said_before_is_left_alone_and_offered_the_way_back(staged):
    lines = [[f"U{n}", "user", "A long story. " * 12] for n in range(20)]
    await become(staged, "listening")
    await speak(staged, *lines)
    last = staged.locator("#transcript li").last
    await expect(last).to_be_in_viewport()
    await staged.evaluate("scrollTo(0, 0)")
    await expect(staged.locator("#latest")).to_be_visible()
    await speak(staged, *lines, ["A1", "assistant", "And an answer."])
    await expect(last).not_to_be_in_viewport()
    await staged.click("#latest")
    await expect(last).to_be_in_viewport()
    await expect(staged.locator("#latest")).to_be_hidden()


async def test_one_can_write_in_every_state_and_nothing_written_is_lost(staged):
    for state in ("ready", "connecting", "speaking", "reconnecting", "ended"):
        await become(staged, state)
        await staged.fill("#text", state)
        await staged.press("#text", "Enter")
    assert await asked(staged) == [
        f"say {s}" for s in ("ready", "connecting", "speaking", "reconnecting", "ended")
    ]
    await staged.evaluate("acted.refusal = new Error('no')")
    await staged.fill("#text", "Keep this")
    await staged.press("#text", "Enter")
    await expect(staged.locator("#problem")).to_be_visible()
    await expect(staged.locator("#text")).to_have_value("Keep this")
