import { aborted } from "./aborted.js";
import { openMicrophone } from "./microphone.js";
import { RealtimeCall } from "./realtime-call.js";
import { TranscriptAssembler } from "./transcript-assembler.js";
import { TypedEvents } from "./typed-events.js";

/** @typedef {import("./broker.js").Broker} Broker */
/** @typedef {import("./broker.js").CallPass} CallPass */
/** @typedef {import("./realtime-call.js").EndReason} EndReason */
/** @typedef {import("./realtime-call.js").RealtimeEvent} RealtimeEvent */
/** @typedef {import("./transcript-assembler.js").Line} Line */
/** @typedef {import("./transcript-outbox.js").Saved} Saved */
/** @typedef {import("./transcript-outbox.js").TranscriptOutbox} TranscriptOutbox */
/** @typedef {"ready" | "connecting" | "listening" | "thinking" | "speaking" | "muted" | "reconnecting" | "ended"} SessionState */
/** @typedef {Line & {agentId: string}} SpokenLine */
/** @typedef {"loss" | "limit" | "agent"} MoveReason  why a conversation goes on in another call */
/** @typedef {{id: string, label: string}} Device */
/** @typedef {{microphones: Device[], speakers: Device[], microphoneId: string, speakerId: string}} Devices  speakers: empty
 *   where the browser does not let a page choose */
/**
 * What an operator wants to know of a call; no secret, no word that was said. Times in ms, null: not (yet) known.
 * @typedef {{state: SessionState, sessionId: string | null, traceId: string, strategy: string, model: string, calls: number, mintMs: number | null,
 *   sdpMs: number | null, connectMs: number | null, firstAudioMs: number | null, rttMs: number | null, jitterMs: number | null,
 *   lossPercent: number | null, path: string | null, events: {at: string, type: string}[]}} Report
 */
/** @typedef {{state: SessionState, lines: SpokenLine[], saved: {turnId: string, saved: Saved}, memory: CallPass["memory"],
 *   ended: EndReason | "time-up", moved: {why: MoveReason, agentId: string}, silenced: void, deafened: void, unheard: boolean, devices: void}} SessionEvents
 *   moved: the conversation went on in another call. unheard: an open microphone has been silent for some time; false: no longer
 */

const SESSION_KEY = "engram_session_id"; // the name under which voice and chat of the same person meet
const CLOCK_MS = 1_000;
const TIME_UP_MS = 15_000; // a call that breaks off this near to its end was ended by its limit
const LAST_WORDS_MS = 2_000; // a transcription rarely takes longer

/** @type {Partial<Record<SessionState, number>>} Azure hides answers that fail or are cleared; believe a state so long */
const PATIENCE_MS = { thinking: 20_000, speaking: 10_000 };

/** @type {Record<string, SessionState>} what the events that pass Azure's filter say about who is speaking */
const STATE_AFTER = {
  "input_audio_buffer.speech_started": "listening",
  "input_audio_buffer.speech_stopped": "thinking",
  "output_audio_buffer.started": "speaking",
  "output_audio_buffer.stopped": "listening",
  "output_audio_buffer.cleared": "listening",
  "response.output_text.done": "listening",
  "response.text.done": "listening",
};

/**
 * A person's conversation with an agent: one session, call after call, by voice or in writing.
 * Joins the call, the transcript and the outbox; knows nothing of the page.
 * ready → connecting → listening ⇄ thinking ⇄ speaking (muted: listening, with the microphone off) → ended → connecting
 * @extends {TypedEvents<SessionEvents>}
 */
export class VoiceSession extends TypedEvents {
  #agentId = "";
  #broker;
  #outbox;
  #speaker;
  /** @type {SessionState} */
  #state = "ready";
  #isMuted = false;
  /** @type {RealtimeCall | null} */
  #call = null;
  /** @type {RealtimeCall | null} hung up, silent, and open only for the person's last words */
  #leaving = null;
  /** @type {CallPass | null} */
  #pass = null;
  #assembler = new TranscriptAssembler();
  #ending = new AbortController();
  /** @type {Promise<void> | null} */
  #starting = null;
  /** @type {SpokenLine[]} lines of the calls before this one */
  #pastLines = [];
  #callAgentId = "";
  #hasMicrophone = false;
  #believedUntilMs = Infinity;
  /** @type {number | null} */
  #startedAtMs = null;
  /** @type {number | null} */
  #endedAtMs = null;

  /** @param {{broker: Broker, outbox: TranscriptOutbox, speaker: HTMLAudioElement}} parts */
  constructor({ broker, outbox, speaker }) {
    super();
    this.#broker = broker;
    this.#outbox = outbox;
    this.#speaker = speaker;
    outbox.on("change", (change) => this.emit("saved", change));
  }

  get state() {
    return this.#state;
  }

  /** The session this tab speaks in, if it has spoken yet. */
  get sessionId() {
    return storedSessionId() ?? this.#pass?.session_id ?? null;
  }

  get isMuted() {
    return this.#isMuted;
  }

  /** Who speaks with the person, or will in the next call. */
  get agentId() {
    return this.#agentId;
  }

  /** Everything said in this tab, call after call. */
  get transcript() {
    return this.#lines();
  }

  /** When the conversation began and ended; null: it did not. */
  get startedAtMs() {
    return this.#startedAtMs;
  }

  get endedAtMs() {
    return this.#endedAtMs;
  }

  /** How loud the microphone is now, 0 to 1. */
  get level() {
    return 0; // SKELETON
  }

  /** False in a call that was opened by writing. */
  get hasMicrophone() {
    return this.#hasMicrophone;
  }

  /** When Azure will end this call, if the broker said so. */
  get callEndsAtMs() {
    return (this.#pass?.call_ends_at ?? Infinity) * 1000;
  }

  /**
   * Talk with another agent. In a call the conversation goes on with the new one, who knows what was said; rejects as
   * `start` does, and then the old one stays.
   * @param {string} agentId
   */
  async switchTo(agentId) {
    this.#agentId = agentId; // SKELETON
  }

  /** @returns {Promise<Devices>} labels are empty until the person once allowed the microphone */
  async devices() {
    return { microphones: [], speakers: [], microphoneId: "", speakerId: "" }; // SKELETON
  }

  /** From now on, in this call too. Rejects with a `MicrophoneError`. @param {string} id */
  async useMicrophone(id) {
    void id; // SKELETON
  }

  /** @param {string} id */
  async useSpeaker(id) {
    void id; // SKELETON
  }

  /** @returns {Promise<Report>} */
  async report() {
    return { state: this.#state, sessionId: this.sessionId, traceId: "", strategy: "", model: "", calls: 0, mintMs: null, sdpMs: null, connectMs: null, firstAudioMs: null, rttMs: null, jitterMs: null, lossPercent: null, path: null, events: [] }; // SKELETON
  }

  /** Forgets, in this tab, which session it was and what was said in it. Not in a call. */
  startAnew() {
    // SKELETON
  }

  /** Rejects with what went wrong, back in `ready`; resolves early when `end()` came first.
   * @param {{withMicrophone: boolean, greeted?: boolean}} wish  not greeted: the person already said something */
  async start({ withMicrophone, greeted = true }) {
    if (this.#call && !this.#starting) return;
    this.#starting ??= this.#start(withMicrophone, greeted).finally(() => (this.#starting = null));
    await this.#starting;
  }

  /** Writes to the agent, in a call without a microphone when there is none yet. @param {string} text */
  async say(text) {
    await this.start({ withMicrophone: false, greeted: false });
    if (!this.#call) return; // ended while it was connecting
    this.stopTalking(); // an answer in progress would make Azure ignore the wish for another
    const item = { type: "message", role: "user", content: [{ type: "input_text", text }] };
    this.#call.send({ type: "conversation.item.create", item });
    this.#requestResponse();
  }

  /** Stops the agent's answer, its making first and then what is already on its way. */
  stopTalking() {
    if (this.#state !== "speaking" && this.#state !== "thinking") return;
    this.#call?.send({ type: "response.cancel" });
    this.#call?.send({ type: "output_audio_buffer.clear" });
    this.#speaker.muted = true; // the buffer empties a moment later than the person expects
    this.#take(this.#assembler.interrupt());
    this.#become("listening");
  }

  /** @param {boolean} muted */
  setMuted(muted) {
    this.#isMuted = muted;
    this.#call?.setMuted(muted);
    if (this.#state === "listening" || this.#state === "muted") this.#become("listening");
  }

  /** Microphone and sound are off at once; words that Azure still writes down have a moment to arrive. */
  end() {
    this.#ending.abort();
    const call = this.#call;
    if (call?.state !== "live" || !this.#assembler.isAwaitingWords) return call?.end();
    this.#call = null;
    this.#leaving = call;
    call.hush();
    if (this.#assembler.isHearing) call.send({ type: "input_audio_buffer.commit" }); // no silence will follow to end it
    call.send({ type: "response.cancel" });
    this.#take(this.#assembler.interrupt());
    setTimeout(() => call.end(), LAST_WORDS_MS);
    this.#become("ended");
    this.emit("ended", "hung-up");
  }

  /** The page goes away: nothing can be waited for. */
  leave() {
    this.#ending.abort();
    this.#call?.end();
    this.#leaving?.end();
  }

  /** @param {boolean} withMicrophone @param {boolean} greeted */
  async #start(withMicrophone, greeted) {
    const { signal } = (this.#ending = new AbortController());
    this.#hasMicrophone = withMicrophone;
    this.#become("connecting");
    try {
      const call = await Promise.race([this.#prepare(withMicrophone, signal), aborted(signal)]);
      await call.start();
    } catch (error) {
      const wasAsked = signal.aborted;
      this.#become(wasAsked ? "ended" : "ready");
      if (wasAsked) return;
      throw error;
    }
    this.#greet(greeted);
  }

  /** @param {boolean} withMicrophone @param {AbortSignal} signal @returns {Promise<RealtimeCall>} */
  async #prepare(withMicrophone, signal) {
    const microphone = withMicrophone ? await openMicrophone() : null;
    try {
      signal.throwIfAborted();
      const pass = await this.#broker.requestToken({ agentId: this.#agentId, sessionId: this.sessionId, signal });
      signal.throwIfAborted();
      return this.#newCall(pass, microphone);
    } catch (error) {
      for (const track of microphone?.getTracks() ?? []) track.stop(); // no call took it
      throw error;
    }
  }

  /** @param {CallPass} pass @param {MediaStream | null} microphone */
  #newCall(pass, microphone) {
    this.#leaving?.end(); // its words belong to the pass and the assembler that are replaced here
    this.#pass = pass;
    storeSessionId(pass.session_id);
    this.emit("memory", pass.memory);
    this.#pastLines = this.#lines();
    this.#assembler = new TranscriptAssembler({ agentId: pass.agent.id });
    this.#callAgentId = pass.agent.id;
    this.#isMuted = false;
    this.#speaker.muted = false;
    const call = new RealtimeCall(pass, { microphone, speaker: this.#speaker });
    const clock = setInterval(() => this.#tick(), CLOCK_MS);
    call.on("event", (event) => (call === this.#call ? this.#receive(event) : this.#receiveLate(call, event)));
    call.on("silenced", () => this.emit("silenced", undefined));
    call.on("deafened", () => this.emit("deafened", undefined));
    call.on("ended", (reason) => {
      clearInterval(clock);
      this.#onEnded(call, reason);
    });
    this.#call = call;
    return call;
  }

  /** @param {boolean} greeted */
  #greet(greeted) {
    this.#become("listening");
    if (this.#pass?.session_update) this.#call?.send(this.#pass.session_update);
    if (this.#pass?.greeting && greeted) this.#requestResponse();
  }

  #requestResponse() {
    this.#call?.send({ type: "response.create" });
    this.#become("thinking");
  }

  /** @param {RealtimeEvent} event */
  #receive(event) {
    if (event.type === "output_audio_buffer.started") this.#speaker.muted = false;
    this.#take(this.#assembler.receive(event, Date.now()));
    const next = STATE_AFTER[event.type];
    const isLate = event.type.startsWith("output_audio_buffer.") && next === "listening" && this.#state !== "speaking";
    if (next && !isLate && this.#state !== "connecting") this.#become(next);
  }

  /** Of a call that was hung up only the person's words count: nobody hears an answer any more.
   * @param {RealtimeCall} call @param {RealtimeEvent} event */
  #receiveLate(call, event) {
    if (event.type.startsWith("conversation.item.")) this.#take(this.#assembler.receive(event, Date.now()));
    if (!this.#assembler.isAwaitingWords) call.end();
  }

  /** @param {import("./transcript-assembler.js").Changes} changes */
  #take({ changed, turns }) {
    const { enrichment, session_id } = this.#pass ?? {};
    if (changed) this.emit("lines", this.#lines());
    if (!enrichment || !session_id || turns.length === 0) return;
    void this.#outbox.add({ url: enrichment.url, grant: enrichment.grant, session_id }, turns);
  }

  /** @returns {SpokenLine[]} */
  #lines() {
    const agentId = this.#callAgentId;
    return [...this.#pastLines, ...this.#assembler.lines().map((line) => ({ ...line, agentId }))];
  }

  #tick() {
    this.#take(this.#assembler.expire(Date.now()));
    if (Date.now() > this.#believedUntilMs && !this.#isAnswering()) this.#become("listening");
  }

  #isAnswering() {
    return this.#assembler.lines().some(({ speaker, state }) => speaker === "assistant" && state === "partial");
  }

  /** @param {RealtimeCall} call @param {EndReason} reason */
  #onEnded(call, reason) {
    this.#take(this.#assembler.flush());
    this.#leaving = null;
    if (call !== this.#call) return; // the session ended when it was hung up
    this.#call = null;
    if (this.#state === "connecting") return; // start() rejects, and says why
    this.#become("ended");
    const isTimeUp = reason === "lost" && Date.now() > this.callEndsAtMs - TIME_UP_MS; // Azure hides its reason
    this.emit("ended", isTimeUp ? "time-up" : reason);
  }

  /** @param {SessionState} state */
  #become(state) {
    this.#believedUntilMs = Date.now() + (PATIENCE_MS[state] ?? Infinity);
    this.#state = state === "listening" && this.#isMuted ? "muted" : state;
    this.emit("state", this.#state);
  }
}

/** @returns {string | null} also where the browser forbids storage: then a session lasts as long as its page */
function storedSessionId() {
  try {
    return sessionStorage.getItem(SESSION_KEY);
  } catch {
    return null;
  }
}

/** @param {string} sessionId */
function storeSessionId(sessionId) {
  try {
    sessionStorage.setItem(SESSION_KEY, sessionId);
  } catch {
    // kept in memory
  }
}
