import { aborted } from "./aborted.js";
import { listAudioDevices, onDevicesChanged } from "./audio-devices.js";
import { ProblemError } from "./broker.js";
import { Dialling } from "./dialling.js";
import { Ears } from "./ears.js";
import { EventLog } from "./event-log.js";
import { HandingOn } from "./handing-on.js";
import { CallError } from "./realtime-call.js";
import { isAnswerOwed } from "./replay.js";
import { retrying, waited } from "./retrying.js";
import { patienceMs, stateAfter } from "./session-state.js";
import { tabStorage } from "./tab-storage.js";
import { TypedEvents } from "./typed-events.js";

/** @typedef {import("./audio-devices.js").AudioDevices} AudioDevices */
/** @typedef {import("./broker.js").Broker} Broker */
/** @typedef {import("./broker.js").CallPass} CallPass */
/** @typedef {import("./event-log.js").Report} Report */
/** @typedef {import("./leg.js").Leg} Leg */
/** @typedef {import("./leg.js").SpokenLine} SpokenLine */
/** @typedef {import("./realtime-call.js").EndReason} EndReason */
/** @typedef {import("./realtime-call.js").RealtimeEvent} RealtimeEvent */
/** @typedef {import("./session-state.js").SessionState} SessionState */
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
const MOVE_AGAIN_MS = 10_000; // after a move that failed
const POLITE_MS = 5_000; // how long a new agent waits for a pause
const LOOK_MS = 100;

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
  #speaker;
  #ears = new Ears();
  #dialling;
  #handingOn;
  #log = new EventLog();
  /** @type {SessionState} */
  #state = "ready";
  #agentId = tabStorage.agentId ?? "";
  #sessionId = tabStorage.sessionId;
  #isMuted = false;
  #hasMicrophone = false;
  /** @type {Leg[]} every call that came about, first to last */
  #legs = [];
  /** @type {Leg | null} the one in which they speak */
  #leg = null;
  /** @type {Leg | null} on hold, about to take over */
  #next = null;
  #ending = new AbortController();
  /** @type {Promise<void> | null} */
  #starting = null;
  /** @type {Promise<void> | null} */
  #moving = null;
  /** @type {Promise<void> | null} */
  #recovering = null;
  #pauseUntilMs = 0;
  #moveNotBeforeMs = 0;
  /** @type {number[]} when calls were lost */
  #lossesMs = [];
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
    this.#speaker = speaker;
    this.#dialling = new Dialling({ broker, speaker, ears: this.#ears });
    this.#handingOn = new HandingOn(outbox);
    this.#ears.on("changed", () => this.#changeMicrophones());
    this.#ears.on("gone", () => this.emit("deafened", undefined));
    this.#ears.on("unheard", (isUnheard) => this.emit("unheard", isUnheard));
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
    return this.#isMuted ? 0 : this.#ears.level;
  }

  /** Rejects with what went wrong, back in `ready`; resolves early when `end()` came first.
   * @param {{withMicrophone: boolean, greeted?: boolean}} wish  not greeted: the person already said something */
  async start({ withMicrophone, greeted = true }) {
    if (this.#ending.signal.aborted) await this.#starting?.catch(() => {}); // one that was ended a moment ago
    if (isInCall(this.#state) && !this.#starting) return;
    this.#starting ??= this.#start(withMicrophone, greeted).finally(() => (this.#starting = null));
    await this.#starting;
  }

  /** Writes to the agent, in a call without a microphone when there is none yet. Rejects when it could not be told, but for
   * who hung up meanwhile. @param {string} text */
  async say(text) {
    await this.start({ withMicrophone: false, greeted: false });
    const { signal } = this.#ending;
    await this.#recovering;
    if (signal.aborted && !(signal.reason instanceof CallError)) return;
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
    this.#ending.abort(); // what is connecting ends by this
    if (this.#leg || this.#state === "reconnecting") this.#finish("hung-up");
  }

  /** The page goes away: nothing can be waited for. */
  leave() {
    this.#ending.abort();
    for (const leg of this.#legs) leg.call.end();
    if (this.#state === "reconnecting") this.#finish("hung-up");
  }

  /**
   * Talk with another agent. In a call the conversation goes on with the new one, who knows what was said; rejects as
   * `start` does, and then the old one stays. Of several wishes the last one counts.
   * @param {string} agentId
   */
  async switchTo(agentId) {
    this.#agentId = tabStorage.agentId = agentId;
    await this.#settled();
    if (!this.#leg || this.#agentId !== agentId || this.#leg.agentId === agentId) return;
    try {
      await this.#move("agent");
    } catch (error) {
      if (this.#agentId === agentId) this.#agentId = tabStorage.agentId = this.#leg?.agentId ?? agentId;
      if (!this.#ending.signal.aborted) throw error;
    }
  }

  /** @returns {Promise<Devices>} labels are empty until the person once allowed the microphone */
  async devices() {
    const chosen = { microphoneId: this.#ears.deviceId, speakerId: this.#speaker.sinkId ?? "" };
    return { ...(await listAudioDevices(this.#speaker)), ...chosen };
  }

  /** From now on, in this call too. Rejects with a `MicrophoneError`. @param {string} id  empty: the browser's choice */
  useMicrophone(id) {
    return this.#ears.choose(id);
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
      this.#ears.close();
      this.#become(signal.aborted ? "ended" : "ready");
      if (!signal.aborted) throw error;
    }
  }

  /** The microphone first: the token lives about a minute, a permission prompt may take longer.
   * @param {boolean} withMicrophone @param {AbortSignal} signal */
  async #open(withMicrophone, signal) {
    this.#log.begin();
    if (withMicrophone) await this.#ears.open(signal);
    return this.#connect(signal);
  }

  /** @param {AbortSignal} signal @param {{onHold?: boolean}} [how] @returns {Promise<Leg>} */
  #connect(signal, { onHold = false } = {}) {
    const wish = { agentId: this.#agentId, sessionId: this.#sessionId, isMuted: this.#isMuted, onHold, signal };
    /** @param {CallPass} pass */
    const onPass = ({ session_id, memory }) => {
      this.#sessionId = tabStorage.sessionId = session_id;
      this.emit("memory", memory);
    };
    return this.#dialling.dial({ ...wish, onPass, made: (leg) => this.#follow(leg, signal) });
  }

  /** @param {Leg} leg @param {AbortSignal} signal */
  #follow(leg, signal) {
    signal.addEventListener("abort", () => this.#legs.includes(leg) || leg.call.end(), { once: true });
    leg.on("event", (event) => leg === this.#leg && this.#receive(event));
    leg.on("changed", () => this.#legs.includes(leg) && this.#show());
    leg.on("over", (reason) => this.#onOver(leg, reason));
    leg.call.on("silenced", () => this.emit("silenced", undefined));
  }

  /** Not of a call that was left: nobody speaks in it any more. */
  #changeMicrophones() {
    for (const leg of [this.#leg, this.#next]) {
      const copy = leg && this.#ears.copy();
      if (copy) void leg.call.changeMicrophone(copy);
    }
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
    leg.recall(this.transcript, this.#legs.filter(({ isShown }) => isShown).at(-1));
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

  #show() {
    this.emit("lines", this.transcript);
    this.#handingOn.turnsOf(this.#legs);
  }

  #tick() {
    const leg = this.#leg;
    if (!leg) return;
    this.#handingOn.draftsOf(this.#legs);
    if (Date.now() > this.#believedUntilMs && !leg.isAnswering) this.#become("listening");
    if (this.#moving || Date.now() < Math.max(leg.moveAtMs, this.#moveNotBeforeMs)) return;
    void this.#move("limit").catch(({ retryAfterMs = 0 }) => {
      this.#moveNotBeforeMs = Date.now() + Math.max(MOVE_AGAIN_MS, retryAfterMs);
    });
  }

  /** What was begun before: one call comes about after the other. */
  async #settled() {
    this.#pauseUntilMs = Math.min(this.#pauseUntilMs, Date.now() + POLITE_MS);
    await this.#starting?.catch(() => {});
    await this.#recovering;
    while (this.#moving) await this.#moving.catch(() => {});
  }

  /** @param {MoveReason} why */
  #move(why) {
    this.#moving = this.#moveNow(why).finally(() => (this.#moving = null));
    return this.#moving;
  }

  /** @param {MoveReason} why */
  async #moveNow(why) {
    const { signal } = this.#ending;
    const next = (this.#next = await this.#connect(signal, { onHold: true }));
    try {
      await this.#pause(next, why, signal);
      this.#goOn(next, why, this.#isAnswerDue);
    } finally {
      this.#next = null;
      if (this.#leg !== next) next.call.end();
    }
  }

  /** Until nobody speaks, until it is too late to wait, or until there is nothing to wait for.
   * @param {Leg} next @param {MoveReason} why @param {AbortSignal} signal */
  async #pause(next, why, signal) {
    const latestMs = this.#leg?.latestMoveAtMs ?? 0;
    this.#pauseUntilMs = why === "agent" ? Math.min(latestMs, Date.now() + POLITE_MS) : latestMs;
    const mayWait = () => !signal.aborted && !next.isOver && Date.now() < this.#pauseUntilMs;
    while (mayWait() && this.#leg && (this.#isAnswerDue || !this.#leg.isPause)) await waited(LOOK_MS, signal);
    signal.throwIfAborted();
  }

  get #isAnswerDue() {
    return this.#state === "thinking" || this.#state === "speaking";
  }

  /** @param {Leg} leg @param {MoveReason} why @param {boolean} isAnswerDue  the call before had one to give */
  #goOn(leg, why, isAnswerDue) {
    if (leg.isOver) throw new CallError("lost", "The next call ended before it took over");
    const before = this.#leg;
    this.#leg = leg; // the end of the one before is no loss
    before?.leave();
    const isOwed = isAnswerDue && isAnswerOwed(this.transcript);
    this.#enter(leg);
    leg.call.pickUp();
    this.emit("moved", { why, agentId: leg.agentId });
    if (why === "agent" || isOwed) this.#requestResponse();
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
      await this.#moving?.catch(() => {}); // it no longer waits for a pause, and may bring the next call
      if (!this.#leg) this.#goOn(await this.#reconnect(signal), "loss", isAnswerDue);
      else if (isAnswerDue && !this.#isAnswerDue && isAnswerOwed(this.transcript)) this.#requestResponse();
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
    const leg = this.#leg;
    this.#leg = null;
    leg?.leave();
    clearInterval(this.#clock);
    this.#ears.close();
    this.#spokenForMs += Date.now() - this.#beganAtMs;
    this.#ending.abort(reason === "hung-up" ? undefined : new CallError("lost", "The call ended"));
    this.#become("ended");
    this.emit("ended", reason);
  }

  /** @param {SessionState} state */
  #become(state) {
    this.#believedUntilMs = Date.now() + patienceMs(state);
    this.#state = state === "listening" && this.#isMuted ? "muted" : state;
    this.#ears.excuse(this.#state !== "listening");
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
  return error instanceof CallError && error.reason !== "hung-up" && error.status !== 401;
}
