import { find, show, write } from "./page-elements.js";
import { memorySentence, memoryWords } from "./memory-words.js";

/** @typedef {import("./memory-words.js").MemoryState} MemoryState */
/** @typedef {import("./transcript-outbox.js").Saved} Saved */
/** @typedef {import("./voice-session.js").VoiceSession} VoiceSession */
/** @typedef {{waiting: number}} Stats */
/** @typedef {EventTarget & {stats(): Stats | Promise<Stats>}} Outbox  tells `unsent` (how many turns wait) and whether it is `full` */

/** Memory's own state in the page's header, apart from the voice. */
export class MemoryMark {
  /** @type {Map<string, Saved>} turn id -> how far it came on its way to memory */
  #saved = new Map();
  /** @type {boolean | null} null: not known yet, and better not said */
  #isOn = null;
  #isLate = false;
  #isFull = false;
  #facts = 0;
  #unsent = 0;

  /** @param {VoiceSession} session @param {Outbox} outbox */
  constructor(session, outbox) {
    session.on("saved", ({ turnId, saved }) => {
      this.#saved.set(turnId, saved);
      this.#show();
    });
    session.on("memory", ({ status, facts }) => {
      this.#isOn = status !== "off";
      this.#isLate = status === "timeout";
      this.#facts = facts;
      this.#show();
    });
    outbox.addEventListener("full", (event) => {
      this.#isFull = /** @type {CustomEvent<boolean>} */ (event).detail;
      this.#show();
    });
    outbox.addEventListener("unsent", (event) => this.#showUnsent(/** @type {CustomEvent<number>} */ (event).detail));
    void Promise.resolve(outbox.stats()).then(({ waiting }) => this.#showUnsent(waiting));
  }

  /** How many turns of this page are in memory. */
  get kept() {
    return this.#count("saved");
  }

  /** How many are still in this browser. */
  get unsent() {
    const inFlight = this.#count("sending"); // of a moment ago: nothing that anybody waits for
    return Math.max(this.#count("waiting"), this.#unsent - inFlight);
  }

  get isOn() {
    return this.#isOn === true;
  }

  /** @param {string} turnId */
  savedOf(turnId) {
    return this.#saved.get(turnId);
  }

  /** @param {boolean} isOn */
  turn(isOn) {
    this.#isOn = isOn;
    this.#show();
  }

  wasOutOfReach() {
    this.#isLate = true;
    this.#show();
  }

  forget() {
    this.#saved.clear();
    this.#facts = 0;
    this.#show();
  }

  /** @param {number} count */
  #showUnsent(count) {
    this.#unsent = count;
    this.#show();
  }

  /** @param {Saved} saved */
  #count(saved) {
    return [...this.#saved.values()].filter((value) => value === saved).length;
  }

  #show() {
    if (this.#isOn === null) return;
    const { isOn, kept, unsent } = this;
    const memory = { isOn, isLate: this.#isLate, isFull: this.#isFull, facts: this.#facts, kept, unsent };
    const { state, text } = memoryWords(memory);
    find("#memory").dataset.state = state;
    write("#memory span", text);
    write("#memory-now", memorySentence(memory));
    show("#memory", true);
  }
}
