import { factWords } from "./memory-words.js";
import { find, make, onPress, show, write } from "./page-elements.js";
import { Sheet } from "./page-sheet.js";

/** @typedef {import("./broker.js").Broker} Broker */
/** @typedef {import("./broker.js").MemoryUrls} MemoryUrls */

/** What is remembered about the person. */
export class MemorySheet {
  #sheet = new Sheet("#memory-sheet");
  #broker;
  /** @type {MemoryUrls | null} */
  #urls = null;
  /** @type {object | null} the newest wish to read: an answer to an older one comes too late */
  #reading = null;

  /** @param {Broker} broker */
  constructor(broker) {
    this.#broker = broker;
    onPress("#memory", () => {
      this.#sheet.open();
      void this.read();
    });
    onPress("#facts-again", () => {
      find("#memory-sheet [data-close]").focus(); // this button goes away
      void this.read();
    });
  }

  /** @param {MemoryUrls | null} urls */
  know(urls) {
    this.#urls = urls;
    show("#memory-known", urls !== null);
  }

  /** Does nothing while nobody looks. */
  async read() {
    if (!this.#urls || !this.#sheet.isOpen) return;
    const reading = (this.#reading = {});
    write("#facts-note", "Looking …");
    show("#facts-again", false);
    const facts = await this.#broker.readMemory(this.#urls.context_url, null).catch(() => null);
    if (reading === this.#reading) this.#show(facts);
  }

  /** @param {string[] | null} facts null: out of reach */
  #show(facts) {
    find("#facts").replaceChildren(...(facts ?? []).map(factEntry));
    show("#facts", Boolean(facts?.length));
    show("#facts-again", facts === null);
    if (facts === null) write("#facts-note", "Memory is out of reach right now. Your call is not affected.");
    else write("#facts-note", facts.length === 0 ? "Nothing yet. It grows with what you say." : "");
  }
}

/** @param {string} fact */
function factEntry(fact) {
  const { when, text } = factWords(fact);
  const entry = make("li");
  entry.append(make("p", text), ...(when ? [make("small", when)] : []));
  return entry;
}
