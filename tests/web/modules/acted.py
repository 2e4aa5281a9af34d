"""The page with an acted session: a test is the voice, and sees what the page asks of it."""

from __future__ import annotations

# In the place of main.js, at `/acted.html`. `acted` keeps the page's contract with a session, nothing else.
MAIN = """
import { Broker } from "./broker.js";
import { Page } from "./page.js";
import { TypedEvents } from "./typed-events.js";

class ActedSession extends TypedEvents {
  state = "ready";
  agentId = "";
  hasMicrophone = true;
  isMuted = false;
  sessionId = new URLSearchParams(location.search).get("session");
  transcript = [];
  startedAtMs = null;
  spokenForMs = 0;
  callEndsAtMs = Infinity;
  level = 0;
  asked = [];
  refusal = null;
  switching = null;
  found = { microphones: [], speakers: [], microphoneId: "", speakerId: "" };
  facts = { state: "ready", sessionId: null, traceId: "", strategy: "", model: "", calls: 0,
    mintMs: null, sdpMs: null, connectMs: null, firstAudioMs: null, rttMs: null,
    jitterMs: null, lossPercent: null, path: null, events: [] };

  become(state, more = {}) {
    Object.assign(this, more, { state });
    this.emit("state", state);
  }
  say(text) {
    this.#ask("say " + text);
    return this.#answer();
  }
  speak(...lines) {
    this.transcript = lines.map(([turnId, speaker, text, state = "final", agentId = "elena"]) =>
      ({ turnId, speaker, text, state, agentId }));
    this.emit("lines", this.transcript);
  }
  async start() {
    this.#ask("start");
    await this.#answer();
    this.become("listening", { sessionId: "session-1", startedAtMs: Date.now() });
  }
  end() {
    this.#ask("end");
    this.become("ended", { spokenForMs: 252_000 });
    this.emit("ended", "hung-up");
  }
  setMuted(isMuted) {
    this.become(isMuted ? "muted" : "listening", { isMuted });
  }
  async switchTo(agentId) {
    this.#ask("switch to " + agentId);
    const before = this.agentId;
    this.agentId = agentId;
    if (this.state === "ready" || this.state === "ended") return;
    try {
      await this.switching;
      await this.#answer();
      this.emit("moved", { why: "agent", agentId });
    } catch (error) {
      this.agentId = before;
      throw error;
    }
  }
  stopTalking() {
    this.#ask("stop talking");
  }
  startAnew() {
    this.#ask("start anew");
    this.become("ready", { sessionId: null, startedAtMs: null, spokenForMs: 0 });
    this.speak();
  }
  async devices() {
    return this.found;
  }
  async useMicrophone(id) {
    this.#ask("microphone " + id);
    await this.#answer();
    this.found.microphoneId = id;
  }
  async useSpeaker(id) {
    this.#ask("speaker " + id);
    this.found.speakerId = id;
  }
  async report() {
    return { ...this.facts, state: this.state, sessionId: this.sessionId };
  }
  leave() {}
  #ask(what) {
    this.asked.push(what);
  }
  async #answer() {
    const refusal = this.refusal;
    this.refusal = null;
    if (refusal) throw refusal;
  }
}

class ActedOutbox extends TypedEvents {
  stats() {
    return { waiting: 0 };
  }
  async waitingTurns() {
    return [];
  }
}

const session = (window.acted = new ActedSession());
const outbox = (window.outbox = new ActedOutbox());
await new Page(() => session, new Broker(), outbox).load();
"""


async def become(page, state, **more):
    await page.evaluate("([state, more]) => acted.become(state, more)", [state, more])


async def speak(page, *lines):
    """Lines as (turn id, speaker, text[, state[, agent id]])."""
    await page.evaluate("(lines) => acted.speak(...lines)", lines)


async def emit(page, name, detail=None):
    await page.evaluate("([name, detail]) => acted.emit(name, detail)", [name, detail])


async def saved(page, **turns):
    for turn_id, how in turns.items():
        await emit(page, "saved", {"turnId": turn_id, "saved": how})


async def asked(page):
    """What the page wanted of the session since it was last asked."""
    return await page.evaluate("acted.asked.splice(0)")
