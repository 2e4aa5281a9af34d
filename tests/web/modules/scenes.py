"""Every state of the page, one after the other on one page: for axe, for the keyboard, and for the eye."""

from __future__ import annotations

from playwright.async_api import expect

from tests.web.modules.acted import become, emit, saved, speak

TALK = [
    ["A1", "assistant", "Good morning. Last time we stopped at the approval step. Shall we pick that up?"],
    ["U1", "user", "Yes. Finance wants to approve anything above ten thousand."],
    ["A2", "assistant", "Then I would split the approval in two: one rule for", "interrupted"],
    ["U2", "user", "No, keep it to one rule. Just the amount."],
    ["U3", "user", "", "unheard"],
    ["A3", "assistant", "One rule, the amount. I will write it down.", "final", "marcus"],
]
FACTS = [
    '2026-11-19: the person said "Finance wants to approve anything above ten thousand."',
    '2026-11-12: the person said "I am called Ada, and I plan the migration with Tom."',
    "Ada prefers one rule over two.",
]
PAST = {"spoken_at": "2026-11-19T08:00:00Z", "agent_id": "elena", "delivered": True}
DEVICES = {
    "microphones": [{"id": "m1", "label": "Built-in microphone"}, {"id": "m2", "label": "Headset"}],
    "speakers": [{"id": "s1", "label": "Built-in speakers"}, {"id": "s2", "label": "Headset"}],
    "microphoneId": "m2",
    "speakerId": "s1",
}
FIGURES = {
    "traceId": "4bf92f3577b34da6a3ce929d0e0e4736",
    "strategy": "direct",
    "model": "gpt-realtime",
    "calls": 2,
    "mintMs": 212,
    "sdpMs": 148,
    "connectMs": 611,
    "firstAudioMs": 1204,
    "rttMs": 38,
    "jitterMs": 4,
    "lossPercent": 0.2,
    "path": "srflx/udp",
    "events": [
        {"at": f"00:0{n}.{n}12", "type": kind} for n, kind in enumerate(["connected", "moved: agent"])
    ],
}


async def scenes(page, services):
    """Brings ``page``, with an acted session, into one state after the other and tells its name."""
    for part in (beginning, call, trouble, sheets, ending, earlier):
        async for name in part(page, services):
            yield name


async def beginning(page, services):
    yield "ready"
    await become(page, "connecting")
    yield "connecting"
    await become(page, "listening", sessionId="session-1", startedAtMs=1)
    await emit(page, "memory", {"status": "hit", "facts": 3})
    yield "listening"


async def call(page, services):
    await speak(page, *TALK[:4])
    await become(page, "thinking")
    await saved(page, A1="saved", U1="saved", A2="saved", U2="sending")
    yield "thinking"
    await speak(page, *TALK[:4], ["A3", "assistant", "One rule, the amount. I will", "partial"])
    await become(page, "speaking")
    await saved(page, U2="saved")
    yield "speaking"
    await speak(page, *TALK)
    await become(page, "muted", isMuted=True)
    yield "muted"
    await page.evaluate("void (acted.switching = new Promise((done) => (window.arrive = done)))")
    await become(page, "listening", isMuted=False)
    await page.click("button[data-agent=marcus]")
    await expect(page.locator("button[data-agent=marcus]")).to_have_attribute("aria-busy", "true")
    yield "switching"
    await page.evaluate("arrive()")
    await expect(page.locator("#told")).to_contain_text("now talking with Marcus")
    yield "moved"


async def trouble(page, services):
    await page.evaluate("acted.callEndsAtMs = Date.now() + 40_000")
    await emit(page, "unheard", True)
    await become(page, "listening")
    yield "unheard-and-a-minute-left"
    await page.evaluate("acted.callEndsAtMs = Infinity")
    await saved(page, A3="waiting", U2="waiting", U1="refused")
    await become(page, "reconnecting")
    yield "reconnecting"
    await page.evaluate("outbox.emit('full', true)")
    await become(page, "ended")
    await emit(page, "ended", "lost")
    await expect(page.locator("#problem")).to_be_visible()
    yield "problem"
    await page.evaluate("outbox.emit('full', false)")
    await saved(page, A3="saved", U2="saved", U1="saved")
    await page.click("#retry")


async def sheets(page, services):
    services.facts = FACTS
    await page.click("#memory")
    await expect(page.locator("#facts li")).to_have_count(3)
    yield "memory"
    await page.click("#memory-forget-all")
    await expect(page.locator("#confirm")).to_be_visible()
    yield "confirm-forget"
    await page.press("body", "Escape")
    await page.press("body", "Escape")
    services.facts = None
    await page.click("#memory")
    await expect(page.locator("#facts-again")).to_be_visible()
    yield "memory-out-of-reach"
    await page.press("body", "Escape")
    await page.evaluate("(found) => Object.assign(acted, { found, level: 0.6 })", DEVICES)
    await page.click("#settings-open")
    await expect(page.locator("#output-field")).to_be_visible()
    yield "settings"
    await page.evaluate("(figures) => Object.assign(acted.facts, figures)", FIGURES)
    await page.click("#details-open")
    await expect(page.locator("#events li")).to_have_count(2)
    yield "details"
    await page.click("#details-close")


async def ending(page, services):
    await page.evaluate("acted.become('ended', { startedAtMs: 1_000, spokenForMs: 252_000 })")
    await expect(page.locator("#end-card")).to_be_visible()
    yield "ended"
    await page.click("#end-forget")
    await page.click("#confirm-forget")
    await expect(page.locator("#confirm-told")).to_contain_text("forgotten")
    yield "forgotten"
    await page.click("#confirm-keep")
    await page.evaluate("acted.refusal = new Error('unknown')")
    await page.click("#start")
    await expect(page.locator("#problem")).to_be_visible()
    yield "problem-before-a-word"


async def earlier(page, services):
    services.episode = [
        PAST | {"turn_id": "P1", "role": "user", "content": "I keep bees on my roof."},
        PAST | {"turn_id": "P2", "role": "assistant", "content": "How many hives?", "interrupted": True},
    ]
    await page.goto(f"{services.acted_page}?session=session-1")
    await expect(page.locator("#earlier li")).to_have_count(2)
    await become(page, "listening")
    await speak(page, *TALK, *[[f"M{n}", "user", "And more to read. " * 9] for n in range(8)])
    await page.evaluate("scrollTo(0, 0)")
    await expect(page.locator("#latest")).to_be_visible()
    yield "earlier"
