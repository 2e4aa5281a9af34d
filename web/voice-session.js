import { aborted } from "./aborted.js";
import { listAudioDevices, onDevicesChanged } from "./audio-devices.js";
import { ProblemError } from "./broker.js";
import { EventLog } from "./event-log.js";
import { Leg } from "./leg.js";
import { Microphone } from "./microphone.js";
import { CallError, RealtimeCall } from "./realtime-call.js";
import { retrying } from "./retrying.js";
import { patienceMs, stateAfter } from "./session-state.js";
import { tabStorage } from "./tab-storage.js";
import { TypedEvents } from "./typed-events.js";

/** @typedef {import("./audio-devices.js").AudioDevices} AudioDevices */
/** @typedef {import("./broker.js").Broker} Broker */
/** @typedef {import("./broker.js").CallPass} CallPass */
/** @typedef {import("./event-log.js").Report} Report */
/** @typedef {import("./leg.js").SpokenLine} SpokenLine */
/** @typedef {import("./realtime-call.js").EndReason} EndReason */
/** @typedef {import("./realtime-call.js").RealtimeEvent} RealtimeEvent */
/** @typedef {import("./session-state.js").SessionState} SessionState */
/** @typedef {import("./transcript-assembler.js").Turn} Turn */
/** @typedef {import("./transcript-outbox.js").Saved} Saved */
/** @typedef {import("./transcript-outbox.js").TranscriptOutbox} TranscriptOutbox */
/** @typedef {"loss" | "limit" | "agent"} MoveReason  why a conversation goes on in another call */
/** @typedef {AudioDevices & {microphoneId: string, speakerId: string}} Devices */
/** @typedef {{state: SessionState, lines: SpokenLine[], saved: {turnId: string, saved: Saved}, memory: CallPass["memory"],
 *   ended: EndReason | "time-up", moved: {why: MoveReason, agentId: string}, silenced: void, deafened: void, unheard: boolean,
 *   devices: void}} SessionEvents
 *   moved: the conversation went on in another call. unheard: an open microphone has been silent for some time; false: no longer
 */

const CLOCK_MS = 1_000;
const TIME_UP_MS = 15_000; // a call that breaks off this near to its end was ended by its limit
const RECONNECT_WITHIN_MS = 60_000;
const MOST_LOSSES = 3; // within the time above; more is no accident
const POLITE_MS = 5_000; // how long a new agent waits for a pause

/**
 * A person's conversation with an agent: one session, call after call, by voice or in writing.
 * Joins the calls, their transcript and the outbox; knows nothing of the page.
 *
 * ready → connecting → listening ⇄ thinking ⇄ speaking (muted: listening, with the microphone off) → ended → connecting
 * A call that breaks off leads through `reconnecting` to another one, which is told what was said. Before a call reaches its
 * limit, and for another agent, the next call is made while this one goes on, and takes over in a pause.
 * @extends {TypedEvents<SessionEvents>}
 */
export class VoiceSession extends TypedEvents {
  #broker;
  #outbox;
  #speaker;
  #log = new EventLog();
  /** @type {SessionState} */
  #state = "ready";
  #agentId = tabStorage.agentId ?? "";
  #sessionId = tabStorage.sessionId;
  #isMuted = false;
  /** @type {Leg[]} every call that came about, first to last */
  #legs = [];
  /** @type {Leg | null} the one in which they speak */
  #leg = null;
  /** @type {Leg | null} on hold, about to take over */
  #next = null;
  /** @type {Microphone | null} */
  #microphone = null;
  #microphoneId = "";
  #hasMicrophone = false;
  #ending = new AbortController();
  /** @type {Promise<void> | null} */
  #starting = null;
  /** @type {Promise<void> | null} */
  #moving = null;
  /** @type {Promise<void> | null} */
  #recovering = null;
  /** @type {number[]} when calls were lost */
  #lossesMs = [];
  /** @type {Map<string, string>} session id -> the last turn that was handed on */
  #lastTurnIds = new Map();
  #clock = 0;
  #believedUntilMs = Infinity;
  /** @type {number | null} */
  #startedAtMs = null;
  #beganAtMs = 0;
  #spokenForMs = 0;

  /**
   * @param {{broker: Broker, outbox: TranscriptOutbox, speaker: HTMLAudioElement, signal?: AbortSignal}} parts  signal: ends the
   *   listening to outbox and devices, which outlive a session of a page that makes several
   */
  constructor({ broker, outbox, speaker, signal }) {
    super();
    this.#broker = broker;
    this.#outbox = outbox;
    this.#speaker = speaker;
    outbox.on("change", (change) => this.emit("saved", change), { signal });
    onDevicesChanged(() => this.emit("devices", undefined), signal);
  }

  get state() {
    return this.#state;
  }

  /** Who speaks with the person, or will in the next call; empty: whom the broker chooses. */
  get agentId() {
    return this.#agentId;
  }

  /** The session this tab speaks in, if it has spoken yet. */
  get sessionId() {
    return this.#sessionId;
  }

  get isMuted() {
    return this.#isMuted;
  }

  /** False in a call that was opened by writing. */
  get hasMicrophone() {
    return this.#hasMicrophone;
  }

  /** When Azure will end this call, if the broker said so. */
  get callEndsAtMs() {
    return this.#leg?.endsAtMs ?? Infinity;
  }

  /** Everything said in this tab, call after call. */
  get transcript() {
    return this.#legs.filter((leg) => leg.isShown).flatMap((leg) => leg.lines());
  }

  /** When the conversation began; null: it did not. */
  get startedAtMs() {
    return this.#startedAtMs;
  }

  /** How long they spoke, once they have ended: without the time between one end and the next start. */
  get spokenForMs() {
    return this.#spokenForMs;
  }

  /** How loud the microphone is now, 0 to 1. */
  get level() {
    return this.#isMuted ? 0 : (this.#microphone?.level ?? 0);
  }

  /** Rejects with what went wrong, back in `ready`; resolves early when `end()` came first.
   * @param {{withMicrophone: boolean, greeted?: boolean}} wish  not greeted: the person already said something */
  async start({ withMicrophone, greeted = true }) {
    if (isInCall(this.#state) && !this.#starting) return;
    this.#starting ??= this.#start(withMicrophone, greeted).finally(() => (this.#starting = null));
    await this.#starting;
  }

  /** Writes to the agent, in a call without a microphone when there is none yet. Rejects when it could not be told.
   * @param {string} text */
  async say(text) {
    await this.start({ withMicrophone: false, greeted: false });
    const { signal } = this.#ending;
    await this.#recovering;
    if (signal.aborted) return; // ended while it was connecting
    if (!this.#leg) throw new CallError("lost", "There is no call to write in");
    this.stopTalking(); // an answer in progress would make Azure ignore the wish for another
    this.#leg.write(text);
    this.#requestResponse();
  }

  /** Stops the agent's answer. */
  stopTalking() {
    if (this.#state !== "speaking" && this.#state !== "thinking") return;
    this.#speaker.muted = true; // the buffer empties a moment later than the person expects
    this.#leg?.interrupt();
    this.#become("listening");
  }

  /** @param {boolean} muted */
  setMuted(muted) {
    this.#isMuted = muted;
    this.#leg?.call.setMuted(muted);
    if (this.#state === "listening" || this.#state === "muted") this.#become("listening");
  }

  /** Microphone and sound are off at once; words that Azure still writes down have a moment to arrive. */
  end() {
    const leg = this.#leg;
    this.#ending.abort();
    if (!leg && this.#state !== "reconnecting") return; // what is connecting ends by the signal
    this.#leg = null;
    leg?.leave();
    this.#finish("hung-up");
  }

  /** The page goes away: nothing can be waited for. */
  leave() {
    this.#ending.abort();
    for (const leg of this.#legs) leg.call.end();
  }

  /**
   * Talk with another agent. In a call the conversation goes on with the new one, who knows what was said; rejects as
   * `start` does, and then the old one stays.
   * @param {string} agentId
   */
  async switchTo(agentId) {
    const before = this.#agentId;
    if (agentId === before) return;
    this.#agentId = tabStorage.agentId = agentId;
    await this.#starting?.catch(() => {});
    if (!this.#leg) return;
    try {
      await this.#move("agent");
    } catch (error) {
      this.#agentId = tabStorage.agentId = before;
      if (!this.#ending.signal.aborted) throw error;
    }
  }

  /** @returns {Promise<Devices>} labels are empty until the person once allowed the microphone */
  async devices() {
    const microphoneId = this.#microphone?.deviceId || this.#microphoneId;
    return { ...(await listAudioDevices(this.#speaker)), microphoneId, speakerId: this.#speaker.sinkId ?? "" };
  }

  /** From now on, in this call too. Rejects with a `MicrophoneError`. @param {string} id  empty: the browser's choice */
  async useMicrophone(id) {
    this.#microphoneId = id;
    if (!this.#microphone) return;
    const { signal } = this.#ending;
    const opened = await Microphone.open(id);
    if (signal.aborted) return opened.close();
    this.#own(opened);
    await Promise.all([this.#leg, this.#next].map((leg) => leg?.call.changeMicrophone(opened.copy())));
  }

  /** @param {string} id */
  async useSpeaker(id) {
    await this.#speaker.setSinkId(id);
  }

  /** @returns {Promise<Report>} */
  async report() {
    const leg = this.#leg ?? this.#legs.at(-1);
    const stats = await leg?.call.stats();
    return this.#log.report({ state: this.#state, sessionId: this.#sessionId, calls: this.#legs.length, leg, stats });
  }

  /** Forgets, in this tab, which session it was and what was said in it. Not in a call. */
  startAnew() {
    if (isInCall(this.#state)) return;
    this.#sessionId = tabStorage.sessionId = null;
    this.#startedAtMs = null;
    this.#spokenForMs = 0;
    for (const leg of this.#legs) leg.isShown = false; // what is still being written down of it is kept all the same
    this.#legs = this.#legs.filter((leg) => !leg.isOver);
    this.emit("lines", this.transcript);
    this.#become("ready");
  }

  /** @param {boolean} withMicrophone @param {boolean} greeted */
  async #start(withMicrophone, greeted) {
    const { signal } = (this.#ending = new AbortController());
    this.#hasMicrophone = withMicrophone;
    this.#isMuted = false;
    this.#become("connecting");
    try {
      this.#begin(await Promise.race([this.#open(withMicrophone, signal), aborted(signal)]), greeted);
    } catch (error) {
      this.#closeMicrophone();
      this.#become(signal.aborted ? "ended" : "ready");
      if (!signal.aborted) throw error;
    }
  }

  /** The microphone first: the token lives about a minute, a permission prompt may take longer.
   * @param {boolean} withMicrophone @param {AbortSignal} signal */
  async #open(withMicrophone, signal) {
    this.#log.begin();
    if (withMicrophone) {
      const opened = await Microphone.open(this.#microphoneId);
      if (signal.aborted) opened.close();
      signal.throwIfAborted();
      this.#own(opened);
    }
    return this.#connect(signal);
  }

  /** @param {Microphone} microphone */
  #own(microphone) {
    this.#microphone?.close();
    this.#microphone = microphone;
    microphone.on("unheard", (isUnheard) => this.emit("unheard", isUnheard));
    microphone.on("gone", () => void this.useMicrophone("").catch(() => this.emit("deafened", undefined)));
  }

  /** With a second token when Azure refuses the first: it ran out on the way.
   * @param {AbortSignal} signal @param {{onHold?: boolean}} [how] @returns {Promise<Leg>} */
  #connect(signal, how) {
    return this.#connectOnce(signal, how).catch((error) => {
      if (error instanceof CallError && error.status === 401) return this.#connectOnce(signal, how);
      throw error;
    });
  }

  /** @param {AbortSignal} signal @param {{onHold?: boolean}} [how] @returns {Promise<Leg>} */
  async #connectOnce(signal, { onHold = false } = {}) {
    const askedMs = performance.now();
    const pass = await this.#broker.requestToken({ agentId: this.#agentId, sessionId: this.#sessionId, signal });
    signal.throwIfAborted();
    const microphone = this.#microphone?.copy() ?? null;
    const call = new RealtimeCall(pass, { microphone, speaker: this.#speaker, onHold });
    const leg = this.#follow(new Leg(pass, call, performance.now() - askedMs));
    signal.addEventListener("abort", () => this.#legs.includes(leg) || call.end(), { once: true });
    this.#sessionId = tabStorage.sessionId = pass.session_id;
    this.emit("memory", pass.memory);
    await call.start();
    return leg;
  }

  /** @param {Leg} leg */
  #follow(leg) {
    leg.on("event", (event) => leg === this.#leg && this.#receive(event));
    leg.on("changed", () => this.#legs.includes(leg) && this.#show());
    leg.on("over", (reason) => this.#onOver(leg, reason));
    leg.call.on("silenced", () => this.emit("silenced", undefined));
    return leg;
  }

  /** @param {Leg} leg @param {boolean} greeted */
  #begin(leg, greeted) {
    this.#beganAtMs = Date.now();
    this.#startedAtMs ??= this.#beganAtMs;
    this.#lossesMs = [];
    this.#clock = setInterval(() => this.#tick(), CLOCK_MS);
    this.#enter(leg);
    if (leg.pass.greeting && greeted) this.#requestResponse();
  }

  /** From now on they speak in this call, which is told what was said before. @param {Leg} leg */
  #enter(leg) {
    leg.recall(this.transcript);
    this.#legs.push(leg);
    this.#leg = leg;
    this.#speaker.muted = false;
    leg.call.setMuted(this.#isMuted);
    this.#log.entered();
    this.#become("listening");
  }

  #requestResponse() {
    this.#leg?.requestResponse();
    this.#become("thinking");
  }

  /** @param {RealtimeEvent} event */
  #receive(event) {
    this.#log.add(event.type);
    if (event.type === "output_audio_buffer.started") this.#speaker.muted = false;
    const next = stateAfter(this.#state, event);
    if (next) this.#become(next);
  }

  /** Lines to whoever shows them, finished turns to the outbox: those of a call when all calls before it are over. */
  #show() {
    this.emit("lines", this.transcript);
    for (const leg of this.#legs) {
      this.#keep(leg.pass, leg.takeTurns());
      if (!leg.isOver) return;
    }
  }

  /** @param {CallPass} pass @param {Turn[]} turns */
  #keep({ enrichment, session_id }, turns) {
    const [first, ...rest] = turns;
    if (!enrichment || !first) return;
    const before = first.previous_turn_id ?? this.#lastTurnIds.get(session_id) ?? null;
    const linked = [{ ...first, previous_turn_id: before }, ...rest];
    this.#lastTurnIds.set(session_id, (rest.at(-1) ?? first).turn_id);
    void this.#outbox.add({ url: enrichment.url, grant: enrichment.grant, session_id }, linked);
  }

  #tick() {
    const leg = this.#leg;
    if (!leg) return;
    if (Date.now() > this.#believedUntilMs && !leg.isAnswering) this.#become("listening");
    if (Date.now() > leg.moveAtMs && !this.#moving) void this.#move("limit").catch(() => {}); // tried again by the next tick
  }

  /** One after the other. @param {MoveReason} why */
  async #move(why) {
    await this.#moving?.catch(() => {});
    this.#moving = this.#moveNow(why).finally(() => (this.#moving = null));
    await this.#moving;
  }

  /** @param {MoveReason} why */
  async #moveNow(why) {
    const { signal } = this.#ending;
    const next = await this.#connect(signal, { onHold: true });
    this.#next = next;
    try {
      const patientUntilMs = Math.min(this.#leg?.latestMoveAtMs ?? 0, why === "limit" ? Infinity : Date.now() + POLITE_MS);
      await this.#pause(patientUntilMs - Date.now(), signal);
      if (this.#leg !== next) this.#goOn(next, why, this.#isAnswerDue);
    } finally {
      this.#next = null;
      if (this.#leg !== next) next.call.end();
    }
  }

  /** Until nobody speaks, or until it is too late to wait. @param {number} withinMs @param {AbortSignal} signal */
  async #pause(withinMs, signal) {
    const waiting = new AbortController();
    await new Promise((resolve) => {
      const look = () => (!this.#leg || (!this.#isAnswerDue && this.#leg.isPause)) && resolve(undefined);
      setTimeout(resolve, withinMs);
      signal.addEventListener("abort", resolve, { signal: waiting.signal });
      this.on("state", look, { signal: waiting.signal });
      this.on("lines", look, { signal: waiting.signal });
      look();
    });
    waiting.abort();
    signal.throwIfAborted();
  }

  get #isAnswerDue() {
    return this.#state === "thinking" || this.#state === "speaking";
  }

  /** @param {Leg} leg @param {MoveReason} why @param {boolean} isAnswerDue  the call before owed one */
  #goOn(leg, why, isAnswerDue) {
    if (leg.isOver) throw new CallError("lost", "The next call ended before it took over");
    const before = this.#leg;
    this.#leg = leg; // the end of the one before is no loss
    before?.leave();
    this.#enter(leg);
    leg.call.pickUp();
    this.emit("moved", { why, agentId: leg.agentId });
    if (why === "agent" || isAnswerDue) this.#requestResponse();
  }

  /** @param {Leg} leg @param {EndReason} reason */
  #onOver(leg, reason) {
    if (leg !== this.#leg) return this.#show(); // turns of later calls waited for it
    this.#leg = null;
    if (reason !== "lost" || this.#ending.signal.aborted) return this.#finish(reason);
    this.#recovering = this.#recover(leg).finally(() => (this.#recovering = null));
  }

  /** The conversation goes on in another call, told what was said; or it ends. @param {Leg} lost */
  async #recover(lost) {
    const { signal } = this.#ending;
    const isAnswerDue = this.#isAnswerDue;
    const isTimeUp = Date.now() > lost.endsAtMs - TIME_UP_MS; // Azure hides its reason
    this.#become("reconnecting");
    try {
      const leg = this.#next ?? (await this.#reconnect(signal));
      this.#goOn(leg, "loss", isAnswerDue);
    } catch {
      if (!signal.aborted) this.#finish(isTimeUp ? "time-up" : "lost");
    }
  }

  /** @param {AbortSignal} signal */
  #reconnect(signal) {
    this.#lossesMs = [...this.#lossesMs, Date.now()].filter((atMs) => atMs > Date.now() - RECONNECT_WITHIN_MS);
    if (this.#lossesMs.length > MOST_LOSSES) throw new CallError("lost", "Calls break off again and again");
    this.#log.begin();
    return retrying(() => this.#connect(signal), { withinMs: RECONNECT_WITHIN_MS, signal, isPassing });
  }

  /** @param {EndReason | "time-up"} reason */
  #finish(reason) {
    clearInterval(this.#clock);
    this.#closeMicrophone();
    this.#spokenForMs += Date.now() - this.#beganAtMs;
    this.#ending.abort();
    this.#become("ended");
    this.emit("ended", reason);
  }

  #closeMicrophone() {
    this.#microphone?.close();
    this.#microphone = null;
  }

  /** @param {SessionState} state */
  #become(state) {
    this.#believedUntilMs = Date.now() + patienceMs(state);
    this.#microphone?.excuse();
    this.#state = state === "listening" && this.#isMuted ? "muted" : state;
    this.emit("state", this.#state);
  }
}

/** @param {SessionState} state */
function isInCall(state) {
  return state !== "ready" && state !== "ended";
}

/** Whether it may work a moment later. @param {unknown} error */
function isPassing(error) {
  if (error instanceof ProblemError) return error.retryable;
  return error instanceof CallError && error.reason !== "hung-up";
}
