/** @typedef {import("./waiting-turn.js").Row} Row */
/** @typedef {import("./stored-turns.js").StoredTurns} StoredTurns */
/** @typedef {import("./other-tabs.js").OtherTabs} OtherTabs */

const WRITE_EVERY_MS = 1_000;

/**
 * Answers that are still being heard, as far as they came, so that a browser that dies loses a second of them at most.
 *
 * Nothing of them is sent while their page lives: what it sent would contradict the whole turn that follows. The page says that
 * it lives by holding a lock, and not by writing the time again and again: a page in the background writes late, and would be
 * taken for dead. The lock is held only while an answer is being heard, when the call keeps the page out of the back/forward
 * cache anyway, and falls the moment the page is gone.
 */
export class PartialTurns {
  #turns;
  #tabs;
  /** @type {Map<string, {row: Row, writtenAtMs: number, timer: number}>} row id -> what was heard last */
  #heard = new Map();
  /** @type {Set<string>} ids of rows whose turn is whole: a word that comes later changes nothing */
  #whole = new Set();

  /** @param {StoredTurns} turns @param {OtherTabs} tabs */
  constructor(turns, tabs) {
    this.#turns = turns;
    this.#tabs = tabs;
  }

  /** Written at once, then once a second at most. @param {Row} row */
  keep(row) {
    if (this.#whole.has(row.id)) return;
    const known = this.#heard.get(row.id) ?? { row, writtenAtMs: -Infinity, timer: 0 };
    known.row = row;
    this.#heard.set(row.id, known);
    if (known.timer) return;
    const dueInMs = known.writtenAtMs + WRITE_EVERY_MS - Date.now();
    if (dueInMs > 0) known.timer = setTimeout(() => this.#write(row.id), dueInMs);
    else void this.#write(row.id);
  }

  /** Their turns are whole, and the caller stores those in their place. @param {Row[]} rows @param {Promise<unknown>} stored */
  async finish(rows, stored) {
    for (const { id } of rows) {
      this.#whole.add(id);
      clearTimeout(this.#heard.get(id)?.timer);
      this.#heard.delete(id);
    }
    await stored; // until then another tab would find the partial one
    if (this.#heard.size === 0) this.#tabs.hearNoMore();
  }

  /** Forgets what is being heard, for good. */
  clear() {
    void this.finish([...this.#heard.values()].map(({ row }) => row), Promise.resolve());
  }

  /** What pages that are gone have heard becomes turns that were interrupted. Never rejects. */
  async adopt() {
    const partials = this.#turns.rows.filter(({ partial }) => partial);
    if (partials.length === 0) return;
    const isLiving = await this.#tabs.living();
    await this.#turns.interrupt(partials.filter((row) => !isLiving(row))).catch(() => {}); // then at the next drain
  }

  /** @param {string} id */
  async #write(id) {
    const heard = this.#heard.get(id);
    if (!heard) return;
    heard.writtenAtMs = Date.now();
    heard.timer = 0;
    await this.#tabs.hear(); // before anybody can find the row
    if (!this.#whole.has(id)) await this.#turns.put([heard.row]);
  }
}
