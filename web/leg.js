import { historyOf, itemOf, noteOf } from "./replay.js";
import { TranscriptAssembler } from "./transcript-assembler.js";
import { TypedEvents } from "./typed-events.js";

/** @typedef {import("./broker.js").CallPass} CallPass */
/** @typedef {import("./realtime-call.js").EndReason} EndReason */
/** @typedef {import("./realtime-call.js").RealtimeCall} RealtimeCall */
/** @typedef {import("./realtime-call.js").RealtimeEvent} RealtimeEvent */
/** @typedef {import("./transcript-assembler.js").Line} Line */
/** @typedef {import("./transcript-assembler.js").Turn} Turn */
/** @typedef {Line & {agentId: string}} SpokenLine */
/** @typedef {{event: RealtimeEvent, changed: void, over: EndReason}} LegEvents */

const CLOCK_MS = 1_000;
const LAST_WORDS_MS = 2_000; // a transcription rarely takes longer
const LONGEST_LEAD_MS = 60_000;

/**
 * One call of a session, with the pass it was made with and what was said in it.
 * Emits "event" until it is left, "changed" when there is more to show or to keep, "over" once.
 * @extends {TypedEvents<LegEvents>}
 */
export class Leg extends TypedEvents {
  /** Whether its lines belong to what is shown. */
  isShown = true;
  #assembler;
  /** @type {Turn[]} finished, and not yet taken */
  #turns = [];
  #isLeft = false;
  #isOver = false;
  #madeAtMs = Date.now();
  #clock;

  /** @param {CallPass} pass @param {RealtimeCall} call @param {number} mintMs  how long the pass took */
  constructor(pass, call, mintMs) {
    super();
    this.pass = pass;
    this.call = call;
    this.mintMs = mintMs;
    this.#assembler = new TranscriptAssembler({ agentId: pass.agent.id });
    this.#clock = setInterval(() => this.#take(this.#assembler.expire(Date.now())), CLOCK_MS);
    call.on("event", (event) => this.#receive(event));
    call.on("ended", (reason) => this.#finish(reason));
  }

  get agentId() {
    return this.pass.agent.id;
  }

  get isOver() {
    return this.#isOver;
  }

  /** When Azure will end this call, if the broker said so: by this computer's clock, which may be wrong. */
  get endsAtMs() {
    const { call_lasts_s: lastsS, call_ends_at: endsAt = Infinity } = this.pass;
    return lastsS === undefined ? endsAt * 1000 : this.#madeAtMs + lastsS * 1000;
  }

  /** When it is time to go on in another call: a minute before the end, of a short call its last quarter. */
  get moveAtMs() {
    return this.endsAtMs - this.#leadMs;
  }

  /** From then on nobody's last word can be waited for. */
  get latestMoveAtMs() {
    return this.endsAtMs - this.#leadMs / 6;
  }

  get #leadMs() {
    return Math.min(LONGEST_LEAD_MS, (this.endsAtMs - this.#madeAtMs) / 4);
  }

  /** Nobody speaks, nothing is being written down. */
  get isPause() {
    return !this.#assembler.isAwaitingWords && !this.isAnswering;
  }

  get isAnswering() {
    return this.lines().some(({ speaker, state }) => speaker === "assistant" && state === "partial");
  }

  /** @returns {SpokenLine[]} */
  lines() {
    return this.#assembler.lines().map((line) => ({ ...line, agentId: this.agentId }));
  }

  /** Turns that became final since the last time. */
  takeTurns() {
    return this.#turns.splice(0);
  }

  /** What would be lost if the browser died now. */
  drafts() {
    return this.#assembler.drafts();
  }

  /** Tells Azure what was said before this call. @param {Line[]} before @param {Leg} [last]  the call before this one */
  recall(before, last) {
    if (this.pass.session_update) this.call.send(this.pass.session_update);
    const history = historyOf(before);
    this.#assembler.replay(history, Date.now());
    for (const written of history) this.call.send(itemOf(written));
    if (last && last.agentId !== this.agentId && history.length > 0) this.call.send(noteOf(last.pass.agent.name));
  }

  /** @param {string} text */
  write(text) {
    const written = { id: `item_${crypto.randomUUID().replaceAll("-", "").slice(0, 24)}`, speaker: /** @type {const} */ ("user"), text };
    this.call.send(itemOf(written));
    this.#take(this.#assembler.write(written, Date.now()));
  }

  requestResponse() {
    this.call.send({ type: "response.create" });
  }

  /** Stops the answer, its making first and then what is already on its way. */
  interrupt() {
    this.call.send({ type: "response.cancel" });
    this.call.send({ type: "output_audio_buffer.clear" });
    this.#take(this.#assembler.interrupt());
  }

  /** Microphone and sound are off at once; words that Azure still writes down have a moment to arrive. */
  leave() {
    this.#isLeft = true;
    if (this.call.state !== "live" || !this.#assembler.isAwaitingWords) return this.call.end();
    this.call.hush();
    if (this.#assembler.isHearing) this.call.send({ type: "input_audio_buffer.commit" }); // no silence will follow to end it
    this.call.send({ type: "response.cancel" });
    this.#take(this.#assembler.interrupt());
    setTimeout(() => this.call.end(), LAST_WORDS_MS);
  }

  /** Of a call that was left only the person's words count: nobody hears an answer any more. @param {RealtimeEvent} event */
  #receive(event) {
    if (!this.#isLeft || event.type.startsWith("conversation.item.")) this.#take(this.#assembler.receive(event, Date.now()));
    if (!this.#isLeft) this.emit("event", event);
    else if (!this.#assembler.isAwaitingWords) this.call.end();
  }

  /** @param {import("./transcript-assembler.js").Changes} changes */
  #take({ changed, turns }) {
    this.#turns.push(...turns);
    if (changed || turns.length > 0) this.emit("changed", undefined);
  }

  /** @param {EndReason} reason */
  #finish(reason) {
    clearInterval(this.#clock);
    this.#isOver = true;
    this.#take(this.#assembler.flush());
    this.emit("over", reason);
  }
}
