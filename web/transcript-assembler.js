import { ConversationOrder } from "./conversation-order.js";

/** @typedef {"user" | "assistant"} Speaker */
/** @typedef {import("./realtime-call.js").RealtimeEvent} RealtimeEvent */
/**
 * One finished utterance, as Enrichment takes it.
 * @typedef {{turn_id: string, previous_turn_id: string | null, speaker: Speaker, text: string, agent_id?: string,
 *   spoken_at: string, interrupted: boolean}} Turn
 */
/**
 * One utterance as it is shown. `unheard`: spoken, but nobody could tell what.
 * @typedef {{turnId: string, speaker: Speaker, text: string, state: "partial" | "final" | "unheard" | "interrupted"}} Line
 */
/** @typedef {{id: string, speaker: Speaker, text: string}} Written  what this browser puts into the conversation as text */
/** @typedef {{changed: boolean, turns: Turn[]}} Changes  turns: those that became final, in conversation order */
/**
 * `isComplete`: all text is here. `isClosed`: also spoken to its end, or given up; nothing more is awaited.
 * @typedef {{id: string, speaker: Speaker | null, text: string, responseId?: string, spokenAtMs: number, dueAtMs: number,
 *   isComplete: boolean, isClosed: boolean, isUnheard: boolean, isInterrupted: boolean, isReleased: boolean}} Item
 */

const PATIENCE_MS = 10_000; // Azure hides a failed transcription, so silence is the only sign of it
const SPEAKING_MS_PER_CHARACTER = 80;
const WRITTEN = new Set(["input_text", "output_text", "text"]);

/**
 * Turns the Realtime event stream into lines to show and into finished turns. Pure: no network, no clock, no DOM.
 *
 * A user's transcription often arrives after the answer to it, so a turn waits until all before it are closed.
 * An answer's text is complete before its sound, so it stays open until the sound stops: it may be interrupted yet.
 */
export class TranscriptAssembler {
  /** @type {Map<string, Item>} */
  #items = new Map();
  #order = new ConversationOrder();
  /** @type {Set<string | undefined>} ids of the responses that are being played */
  #sounding = new Set();
  /** @type {string | null} */
  #lastReleased = null;
  /** @type {Written[]} what Azure has not yet announced of it */
  #unannounced = [];
  /** @type {Map<string, string>} Azure's id -> ours, where Azure did not keep ours */
  #ourIds = new Map();
  #agentId;

  /** @type {Record<string, (event: RealtimeEvent, nowMs: number) => void>} GA names first, then the older ones */
  #readers = {
    "input_audio_buffer.speech_started": (event, nowMs) => this.#speechStarted(event.item_id, nowMs),
    "input_audio_buffer.speech_stopped": (event, nowMs) => this.#speechStopped(event.item_id, nowMs),
    "conversation.item.added": (event, nowMs) => this.#added(event, nowMs),
    "conversation.item.created": (event, nowMs) => this.#added(event, nowMs),
    "conversation.item.input_audio_transcription.completed": (event, nowMs) =>
      this.#finish(this.#item(event.item_id, "user", nowMs), event.transcript),
    "conversation.item.input_audio_transcription.failed": (event, nowMs) =>
      this.#giveUp(this.#item(event.item_id, "user", nowMs)),
    "output_audio_buffer.started": (event) => this.#sounding.add(event.response_id),
    "output_audio_buffer.stopped": (event) => this.#silent(event.response_id),
    "output_audio_buffer.cleared": (event) => this.#silent(event.response_id),
    "response.output_audio_transcript.delta": (event, nowMs) => this.#delta(event, nowMs),
    "response.output_audio_transcript.done": (event, nowMs) => this.#done(event, event.transcript, nowMs),
    "response.output_text.delta": (event, nowMs) => this.#delta(event, nowMs),
    "response.output_text.done": (event, nowMs) => this.#done(event, event.text, nowMs),
    "response.audio_transcript.delta": (event, nowMs) => this.#delta(event, nowMs),
    "response.audio_transcript.done": (event, nowMs) => this.#done(event, event.transcript, nowMs),
    "response.text.delta": (event, nowMs) => this.#delta(event, nowMs),
    "response.text.done": (event, nowMs) => this.#done(event, event.text, nowMs),
  };

  /** @param {{agentId?: string}} [options] */
  constructor({ agentId } = {}) {
    this.#agentId = agentId;
  }

  /** @param {RealtimeEvent} event  known or not @param {number} nowMs @returns {Changes} */
  receive(event, nowMs) {
    const read = this.#readers[event.type];
    read?.(event, nowMs);
    return { changed: read !== undefined, turns: this.#release() };
  }

  /** The person writes instead of speaking: a turn at once, whatever Azure announces of it later.
   * @param {Written} written @param {number} nowMs @returns {Changes} */
  write(written, nowMs) {
    this.#finish(this.#item(written.id, written.speaker, nowMs), written.text);
    this.#unannounced.push(written);
    return { changed: true, turns: this.#release() };
  }

  /** Said in a call before this one and told again: it has a place here, no line, and is no turn.
   * @param {Written[]} history  oldest first @param {number} nowMs */
  replay(history, nowMs) {
    for (const { id, speaker } of history) {
      const item = this.#item(id, speaker, nowMs);
      item.isComplete = item.isClosed = item.isReleased = true;
    }
    this.#unannounced.push(...history);
  }

  /** What was said and is not yet a turn, as the turns they would be if nothing more came. @returns {Turn[]} */
  drafts() {
    const said = this.#ordered().filter(({ speaker, text }) => speaker !== null && text !== "");
    const drafts = said.map((item, index) => ({ item, turn: this.#turnOf(item, said[index - 1]?.id ?? null) }));
    return drafts.filter(({ item }) => !item.isReleased).map(({ turn }) => turn);
  }

  /** Somebody talks over the agent, by voice or by a button. @returns {Changes} */
  interrupt() {
    this.#cutAnswers();
    return { changed: true, turns: this.#release() };
  }

  /** Gives up what has been silent for too long. @param {number} nowMs @returns {Changes} */
  expire(nowMs) {
    const overdue = [...this.#items.values()].filter((item) => !item.isClosed && item.dueAtMs <= nowMs);
    for (const item of overdue) this.#giveUp(item);
    return { changed: overdue.length > 0, turns: this.#release() };
  }

  /** The call is over: nothing more will come. @returns {Changes} */
  flush() {
    for (const item of this.#items.values()) {
      if (item.isClosed) continue;
      this.#giveUp(item);
      item.isInterrupted = item.speaker === "assistant"; // its sound ended with the call
    }
    return { changed: true, turns: this.#release() };
  }

  /** Something was said whose words are not here yet. */
  get isAwaitingWords() {
    return [...this.#items.values()].some(({ speaker, isClosed }) => speaker === "user" && !isClosed);
  }

  /** Somebody is speaking right now. */
  get isHearing() {
    return [...this.#items.values()].some((item) => item.speaker === "user" && !item.isClosed && item.dueAtMs === Infinity);
  }

  /** What to show, first spoken first. @returns {Line[]} */
  lines() {
    return this.#ordered().filter(isVisible).map(asLine);
  }

  /** @param {string} id @param {number} nowMs */
  #speechStarted(id, nowMs) {
    this.#cutAnswers();
    this.#item(id, "user", nowMs).dueAtMs = Infinity; // one may speak as long as one likes
    for (const item of this.#items.values()) {
      if (item.id !== id && item.dueAtMs === Infinity) item.dueAtMs = nowMs + PATIENCE_MS;
    }
  }

  #cutAnswers() {
    for (const item of this.#items.values()) {
      if (item.speaker !== "assistant" || item.isClosed) continue;
      item.isInterrupted = true;
      item.isClosed = item.isComplete; // otherwise the rest of the text that was generated is still to come
    }
    this.#sounding.clear();
  }

  /** @param {string} id @param {number} nowMs */
  #speechStopped(id, nowMs) {
    this.#item(id, "user", nowMs).dueAtMs = nowMs + PATIENCE_MS;
  }

  /** @param {RealtimeEvent} event @param {number} nowMs */
  #added({ item: said, previous_item_id: previousId }, nowMs) {
    const speaker = said.type === "message" && isSpeaker(said.role) ? said.role : null;
    this.#recognise(said);
    const item = this.#item(this.#ourId(said.id), speaker, nowMs);
    this.#order.place(item.id, previousId && this.#ourId(previousId));
    if (item.dueAtMs === Infinity) item.dueAtMs = nowMs + PATIENCE_MS;
    if (speaker === null) item.isClosed = true; // a tool call or an instruction: it has a place and no words
    if (speaker === "user" && writtenText(said)) this.#finish(item, writtenText(said));
  }

  /** What we wrote comes back under our id, or under another with the same words. @param {any} said */
  #recognise(said) {
    const isSame = (/** @type {Written} */ { id, speaker, text }) =>
      id === said.id || (!this.#items.has(said.id) && speaker === said.role && text === writtenText(said));
    if (this.#ourIds.has(said.id)) return; // created after added
    const at = this.#unannounced.findIndex(isSame);
    if (at < 0) return;
    const [written] = this.#unannounced.splice(at, 1);
    if (written && written.id !== said.id) this.#ourIds.set(said.id, written.id);
  }

  /** @param {string} id */
  #ourId(id) {
    return this.#ourIds.get(id) ?? id;
  }

  /** @param {RealtimeEvent} event @param {number} nowMs */
  #delta(event, nowMs) {
    const item = this.#answer(event, nowMs);
    if (item.isReleased || item.isComplete) return;
    item.text += event.delta;
    item.isClosed = false;
    item.dueAtMs = nowMs + PATIENCE_MS;
  }

  /** @param {RealtimeEvent} event @param {string} text @param {number} nowMs */
  #done(event, text, nowMs) {
    const item = this.#answer(event, nowMs);
    this.#finish(item, text);
    item.isClosed = item.isInterrupted || !this.#sounding.has(item.responseId);
    item.dueAtMs = nowMs + PATIENCE_MS + text.length * SPEAKING_MS_PER_CHARACTER;
  }

  /** @param {string | undefined} responseId */
  #silent(responseId) {
    this.#sounding.delete(responseId);
    for (const item of this.#items.values()) {
      if (item.isComplete && item.responseId === responseId) item.isClosed = true;
    }
  }

  /** @param {Item} item @param {string} text */
  #finish(item, text) {
    if (item.isReleased) return;
    item.text = text.trim();
    item.isComplete = item.isClosed = true;
    item.isUnheard = false;
  }

  /** @param {Item} item */
  #giveUp(item) {
    item.isClosed = true;
    item.isUnheard = item.speaker === "user" && !item.isComplete;
    item.isInterrupted ||= item.speaker === "assistant" && !item.isComplete && item.text !== "";
  }

  /** @param {RealtimeEvent} event @param {number} nowMs */
  #answer(event, nowMs) {
    const item = this.#item(event.item_id, "assistant", nowMs);
    item.responseId ??= event.response_id;
    return item;
  }

  /** @param {string} id @param {Speaker | null} speaker @param {number} nowMs @returns {Item} */
  #item(id, speaker, nowMs) {
    const known = this.#items.get(id);
    if (known) return known;
    const item = newItem(id, speaker, nowMs);
    this.#items.set(id, item);
    this.#order.place(id);
    return item;
  }

  #ordered() {
    return this.#order.ids.map((id) => /** @type {Item} */ (this.#items.get(id)));
  }

  /** @returns {Turn[]} */
  #release() {
    const turns = [];
    for (const item of this.#ordered()) {
      if (!item.isClosed) break;
      if (item.isReleased || item.isUnheard || !item.text) continue; // an unheard one goes out if its words come late
      turns.push(this.#asTurn(item));
    }
    return turns;
  }

  /** @param {Item} item @returns {Turn} */
  #asTurn(item) {
    const previous = this.#lastReleased;
    this.#lastReleased = item.id;
    item.isReleased = true;
    return this.#turnOf(item, previous);
  }

  /** @param {Item} item @param {string | null} previousId @returns {Turn} */
  #turnOf(item, previousId) {
    return {
      turn_id: item.id,
      previous_turn_id: previousId,
      speaker: item.speaker ?? "user",
      text: item.text,
      ...(this.#agentId && { agent_id: this.#agentId }),
      spoken_at: new Date(item.spokenAtMs).toISOString(),
      interrupted: item.isInterrupted,
    };
  }
}

/** @param {string} id @param {Speaker | null} speaker @param {number} nowMs @returns {Item} */
function newItem(id, speaker, nowMs) {
  return {
    id,
    speaker,
    text: "",
    spokenAtMs: nowMs,
    dueAtMs: nowMs + PATIENCE_MS,
    isComplete: false,
    isClosed: false,
    isUnheard: false,
    isInterrupted: false,
    isReleased: false,
  };
}

/** @param {any} role @returns {role is Speaker} */
function isSpeaker(role) {
  return role === "user" || role === "assistant";
}

/** @param {any} item @returns {string} what was written instead of spoken */
function writtenText({ content }) {
  const parts = (content ?? []).filter((/** @type {any} */ { type }) => WRITTEN.has(type));
  return parts.map((/** @type {any} */ part) => part.text).join("\n");
}

/** @param {Item} item  a user's slot is visible from the first sound, an answer from its first word */
function isVisible({ speaker, text, isClosed, isUnheard }) {
  return speaker !== null && (text !== "" || isUnheard || (speaker === "user" && !isClosed));
}

/** @param {Item} item @returns {Line} */
function asLine({ id, speaker, text, isClosed, isUnheard, isInterrupted }) {
  const settled = isInterrupted ? "interrupted" : "final";
  return { turnId: id, speaker: speaker ?? "user", text, state: isUnheard ? "unheard" : isClosed ? settled : "partial" };
}
