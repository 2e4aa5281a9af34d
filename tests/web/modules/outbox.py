"""An outbox in a page of its own, fed by a test; and grants that say whose they are."""

from __future__ import annotations

import base64
import json

from starlette.responses import JSONResponse

OPEN = """async ({ url, renewed = null }) => {
  const { TranscriptOutbox } = await import("/transcript-outbox.js");
  window.renewals = [];
  const renew = async (id) => (renewals.push(id), renewed && { url, grant: renewed });
  window.outbox = await TranscriptOutbox.open({ renew });
  window.saved = {};
  window.unsent = [];
  window.full = [];
  outbox.on("change", ({ turnId, saved }) => (window.saved[turnId] = saved));
  outbox.on("unsent", (count) => unsent.push(count));
  outbox.on("full", (isFull) => full.push(isFull));
  window.add = (ids, { grant, session = "session-1", text }) =>
    outbox.add({ url, session_id: session, grant }, ids.map((id) => turn(id, text ?? undefined)));
  window.partial = (id, text, { grant, session = "session-1" }) =>
    outbox.keepPartial({ url, session_id: session, grant }, { ...turn(id, text), speaker: "assistant" });
  await outbox.flush();
}"""
STATE = "async (id, state) => { await until(() => saved[id] === state); return outbox.stats(); }"
HIDE = """(state) => {
  Object.defineProperty(document, "visibilityState", { value: state, configurable: true });
  document.dispatchEvent(new Event("visibilitychange", { bubbles: true }));
}"""
VERSION_1 = """() => new Promise((resolve) => {
  const opening = indexedDB.open("voicelive", 1);
  const keys = { keyPath: "key", autoIncrement: true };
  opening.onupgradeneeded = () => opening.result.createObjectStore("turns", keys);
  opening.onsuccess = () => resolve(void (window.old = opening.result));
})"""
NOTHING = {"saved": 0, "rejected": 0, "waiting": 0, "partial": 0, "others": 0, "unstored": 0}


def grant(person="alice", number=1):
    """Not signed: nobody but a browser reads it here, and that only to learn whose it is."""
    claims = base64.urlsafe_b64encode(json.dumps({"sub": person, "jti": number}).encode()).rstrip(b"=")
    return f"e30.{claims.decode()}.c2ln"


ALICE, ALICE_AGAIN, BOB = grant(), grant(number=2), grant("bob")


async def open_outbox(page, services, *, renewed=ALICE_AGAIN):
    """``renewed``: what the broker gives a session that has no grant at hand; None: nothing."""
    await page.evaluate(OPEN, {"url": f"{services.enrichment}/memory/enrich", "renewed": renewed})


async def add(page, *turn_ids, grant=ALICE, session="session-1", text=None):
    """Adds turns; returns, once that is known, whether they are on the disk."""
    wish = [turn_ids, {"grant": grant, "session": session, "text": text}]
    return await page.evaluate("([ids, wish]) => add(ids, wish)", wish)


async def hear(page, turn_id, text, *, grant=ALICE):
    await page.evaluate(
        "([id, text, grant]) => partial(id, text, { grant })",
        [turn_id, text, grant],
    )


async def becomes(page, turn_id, saved):
    """The outbox's counts, once the turn has come so far."""
    return await page.evaluate(f"([id, state]) => ({STATE})(id, state)", [turn_id, saved])


async def stats(page):
    return await page.evaluate("outbox.stats()")


async def flush(page):
    await page.evaluate("outbox.flush()")


async def go_online(page):
    await page.evaluate("() => { dispatchEvent(new Event('online')) }")


async def stored(page):
    """What is on the disk, oldest first."""
    return await page.evaluate("""() => new Promise((resolve) => {
      const opening = indexedDB.open("voicelive");
      opening.onsuccess = () => {
        const request = opening.result.transaction("unsent").objectStore("unsent").getAll();
        request.onsuccess = () => {
          opening.result.close();
          resolve(request.result.sort((one, other) => one.order - other.order));
        };
      };
    })""")


async def tab(context, services, **options):
    """One more tab with an outbox."""
    page = await context.new_page()
    await page.goto(f"{services.page}/blank")
    await open_outbox(page, services, **options)
    return page


def refusal(status, **headers):
    return JSONResponse({}, status, headers=headers)


def listing(accepted=(), duplicate=(), rejected=()):
    refused = [{"turn_id": turn_id, "reason": "conflict"} for turn_id in rejected]
    return JSONResponse({"accepted": [*accepted], "duplicate": [*duplicate], "rejected": refused}, 202)
