import { memorySentence, memoryWords } from "./memory-words.js";
import { find, show, write } from "./page-elements.js";

/** @typedef {import("./memory-words.js").MemoryState} MemoryState */
/** @typedef {import("./page-transcript.js").TranscriptLog} TranscriptLog */
/** @typedef {import("./voice-session.js").VoiceSession} VoiceSession */
/** @typedef {import("./transcript-outbox.js").TranscriptOutbox} Outbox */

/** Memory's own state in the page's header, apart from the voice. */
export class MemoryMark {
  /** @type {boolean | null} null: not known yet, and better not said */
  #isOn = null;
  #isLate = false;
  #isFull = false;
  #facts = 0;
  #unsent = 0;
  #log;

  /** @param {VoiceSession} session @param {{outbox: Outbox, log: TranscriptLog}} parts */
  constructor(session, { outbox, log }) {
    this.#log = log;
    session.on("memory", ({ status, facts }) => {
      this.#isOn = status !== "off";
      this.#isLate = status === "timeout";
      this.#facts = facts;
      this.show();
    });
    outbox.on("full", (isFull) => {
      this.#isFull = isFull;
      this.show();
    });
    outbox.on("unsent", (count) => this.#showUnsent(count));
    this.#showUnsent(outbox.stats().waiting);
  }

  /** How many turns are still in this browser, of whichever conversation. */
  get unsent() {
    const inFlight = this.#log.count("sending"); // of a moment ago: nothing that anybody waits for
    return Math.max(this.#log.count("waiting"), this.#unsent - inFlight);
  }

  get isOn() {
    return this.#isOn === true;
  }

  /** @param {boolean} isOn */
  turn(isOn) {
    this.#isOn = isOn;
    this.show();
  }

  wasOutOfReach() {
    this.#isLate = true;
    this.show();
  }

  forget() {
    this.#facts = 0;
    this.show();
  }

  /** @param {number} count */
  #showUnsent(count) {
    this.#unsent = count;
    this.show();
  }

  show() {
    if (this.#isOn === null) return;
    const { isOn, unsent } = this;
    const { kept } = this.#log;
    const memory = { isOn, isLate: this.#isLate, isFull: this.#isFull, facts: this.#facts, kept, unsent };
    const { state, text } = memoryWords(memory);
    find("#memory").dataset.state = state;
    write("#memory span", text);
    write("#memory-now", memorySentence(memory));
    show("#memory", true);
  }
}
