import { SAVED_WORDS } from "./memory-words.js";
import { all, find, make, show, write } from "./page-elements.js";

/** @typedef {import("./broker.js").PastTurn} PastTurn */
/** @typedef {import("./transcript-assembler.js").Turn} Turn */
/** @typedef {import("./transcript-outbox.js").Saved} Saved */
/** @typedef {import("./voice-session.js").SpokenLine} SpokenLine */
/** @typedef {import("./page-scroll.js").LatestInSight} LatestInSight */

/** What is said, and how far each turn came on its way to memory; before it what was said earlier. */
export class TranscriptLog {
  /** @type {SpokenLine[]} */
  #past = [];
  /** @type {SpokenLine[]} */
  #lines = [];
  /** @type {Map<string, Saved>} turn id -> how far it came on its way to memory; of an earlier conversation too */
  #saved = new Map();
  #nameOf;
  #latest;

  /** @param {{nameOf: (agentId: string) => string, latest: LatestInSight}} parts */
  constructor({ nameOf, latest }) {
    this.#nameOf = nameOf;
    this.#latest = latest;
  }

  get lines() {
    return [...this.#past, ...this.#lines];
  }

  /** How many turns of this conversation are in memory. */
  get kept() {
    return this.lines.filter(({ turnId }) => this.#saved.get(turnId) === "saved").length;
  }

  /** @param {Saved} saved */
  count(saved) {
    return [...this.#saved.values()].filter((value) => value === saved).length;
  }

  /** Finals go into the log, which is read aloud; from the first unfinished line on they wait outside of it.
   * @param {SpokenLine[]} lines */
  show(lines) {
    this.#lines = lines;
    const open = lines.findIndex((line) => line.state === "partial");
    const settled = open < 0 ? lines.length : open;
    this.#latest.keep(() => {
      this.#fill(find("#transcript ol"), lines.slice(0, settled));
      this.#fill(find("#partial"), lines.slice(settled));
    });
  }

  /** @param {PastTurn[]} kept  in memory @param {Turn[]} [waiting]  still in this browser, said after those */
  showEarlier(kept, waiting = []) {
    const known = new Set(kept.map(({ turn_id }) => turn_id));
    const unknown = waiting.filter(({ turn_id }) => !known.has(turn_id));
    this.#past = [...kept.map(keptLine), ...unknown.map(waitingLine)];
    for (const { turnId } of this.#past) this.#saved.set(turnId, known.has(turnId) ? "saved" : "waiting");
    find("#earlier ol").replaceChildren(...this.#past.map((line) => this.#entry(line)));
    show("#earlier", this.#past.length > 0);
    this.#latest.toEnd();
  }

  clear() {
    this.showEarlier([]);
    this.show([]);
  }

  /** @param {string} turnId @param {Saved} saved */
  showSaved(turnId, saved) {
    this.#saved.set(turnId, saved);
    for (const entry of all("#earlier li, #transcript li, #partial li")) {
      if (entry.dataset.turnId === turnId) this.#mark(entry, saved);
    }
  }

  /** Changes only what differs, so that a screen reader hears each line once.
   * @param {HTMLElement} list @param {SpokenLine[]} lines */
  #fill(list, lines) {
    const shown = new Map([...list.children].map((child) => [/** @type {HTMLElement} */ (child).dataset.turnId, child]));
    lines.forEach((line, index) => {
      const entry = /** @type {HTMLElement} */ (shown.get(line.turnId) ?? this.#entry(line));
      shown.delete(line.turnId);
      this.#update(entry, line);
      if (list.children[index] !== entry) list.insertBefore(entry, list.children[index] ?? null);
    });
    for (const gone of shown.values()) gone.remove();
  }

  /** @param {SpokenLine} line */
  #entry(line) {
    const { turnId, speaker, agentId } = line;
    const entry = make("li");
    Object.assign(entry.dataset, { turnId, speaker, agent: agentId });
    const mark = make("small");
    mark.ariaLive = "off"; // the log is read aloud when words come, not once more for each step to memory
    entry.append(make("span", speaker === "user" ? "You" : this.#nameOf(agentId)), make("p"), mark);
    this.#update(entry, line);
    return entry;
  }

  /** @param {HTMLElement} entry @param {SpokenLine} line */
  #update(entry, { turnId, text, state }) {
    entry.dataset.state = state;
    write("p", state === "unheard" ? "could not be transcribed" : text || "…", entry);
    const saved = this.#saved.get(turnId);
    if (saved) this.#mark(entry, saved);
  }

  /** @param {HTMLElement} entry @param {Saved} saved */
  #mark(entry, saved) {
    entry.dataset.saved = saved;
    write("small", SAVED_WORDS[saved], entry);
  }
}

/** @param {PastTurn} turn @returns {SpokenLine} */
function keptLine({ turn_id: turnId, role: speaker, content: text, agent_id: agentId = "", interrupted }) {
  return { turnId, speaker, text, agentId, state: interrupted ? "interrupted" : "final" };
}

/** @param {Turn} turn @returns {SpokenLine} */
function waitingLine({ turn_id: turnId, speaker, text, agent_id: agentId = "", interrupted }) {
  return { turnId, speaker, text, agentId, state: interrupted ? "interrupted" : "final" };
}
