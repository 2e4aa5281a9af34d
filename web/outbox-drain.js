import { parcelOf } from "./waiting-turn.js";

/** @typedef {import("./enrichment.js").Enrichment} Enrichment */
/** @typedef {import("./other-tabs.js").OtherTabs} OtherTabs */
/** @typedef {import("./partial-turns.js").PartialTurns} PartialTurns */
/** @typedef {import("./session-grants.js").SessionGrants} SessionGrants */
/** @typedef {import("./stored-turns.js").StoredTurns} StoredTurns */
/** @typedef {import("./turn-sender.js").TurnSender} TurnSender */
/** @typedef {import("./waiting-turn.js").Row} Row */

const DRAIN_EVERY_MS = 30_000; // while something waits
const AFTER_ANOTHER_TAB_MS = 1_000;
const KEEP_OTHERS_MS = 7 * 24 * 3_600_000;
const GRANT_BYTES = 4 * 1024; // and what else a parcel has around its turns

/**
 * When and by which tab turns are sent. The newest ones at once by the tab that heard them, when nothing of their session waits:
 * enrichment gives up on a missing turn after 5 s, so a later one that overtook it would stay before it. All others in a drain,
 * session by session, which one tab at a time does.
 */
export class OutboxDrain {
  #turns;
  #grants;
  #tabs;
  #partials;
  #enrichment;
  #sender;
  /** @type {Set<string>} sessions whose newest turns this tab is posting, outside of a drain */
  #posting = new Set();
  /** @type {Promise<void> | null} */
  #draining = null;
  #isAnotherSending = false;
  #timer = 0;
  #dueAtMs = Infinity;
  /** @type {Set<string>} ids of rows that left by beacon since the page was last seen */
  #beaconed = new Set();

  /** @param {{turns: StoredTurns, grants: SessionGrants, tabs: OtherTabs, partials: PartialTurns, enrichment: Enrichment, sender: TurnSender}} parts */
  constructor({ turns, grants, tabs, partials, enrichment, sender }) {
    this.#turns = turns;
    this.#grants = grants;
    this.#tabs = tabs;
    this.#partials = partials;
    this.#enrichment = enrichment;
    this.#sender = sender;
  }

  /** @param {string} sessionId */
  mayPost(sessionId) {
    return !this.#posting.has(sessionId) && this.#sender.pauseMs(sessionId) === 0;
  }

  /** Posts in this very task. @param {Row[]} rows  of a session in which nothing else waits */
  async sendNow(rows) {
    const { session_id } = /** @type {Row} */ (rows[0]);
    this.#posting.add(session_id);
    const sending = this.#sendOn(rows).finally(() => this.#posting.delete(session_id));
    await this.#tabs.whileSending(sending);
    if ((await sending) && this.#waiting().length > 0) void this.flush();
    else this.schedule();
  }

  /** @returns {Promise<void>} when nothing is left that could be sent now */
  flush() {
    this.#draining ??= this.drain().finally(() => {
      this.#draining = null;
      this.schedule();
    });
    return this.#draining;
  }

  /** @param {{isPatient?: boolean}} [options]  patient: waits until no other tab is sending */
  async drain(options) {
    clearTimeout(this.#timer);
    this.#dueAtMs = Infinity;
    if (this.#sender.pause.leftMs > 0) return;
    this.#isAnotherSending = false;
    const isAlone = await this.#tabs.alone((askedAtMs) => this.#sendAll(askedAtMs), options);
    this.#isAnotherSending ||= !isAlone;
  }

  /** The next drain, if something waits; one that is due sooner stays. */
  schedule() {
    const pauses = this.#waiting().map(({ session_id }) => this.#sender.pauseMs(session_id) || DRAIN_EVERY_MS);
    if (pauses.length === 0 || this.#draining) return;
    const soonest = Math.max(this.#sender.pause.leftMs, Math.min(DRAIN_EVERY_MS, ...pauses));
    const delayMs = this.#isAnotherSending ? AFTER_ANOTHER_TAB_MS : soonest;
    if (Date.now() + delayMs >= this.#dueAtMs) return;
    clearTimeout(this.#timer);
    this.#dueAtMs = Date.now() + delayMs;
    this.#timer = setTimeout(() => void this.flush(), delayMs);
  }

  /** The page may be about to go: what waits leaves once more, the oldest first. It stays stored, for nobody hears the answer. */
  beacon() {
    if (this.#sender.pause.askedMs > 0) return;
    for (const sessionId of new Set(this.#waiting().map(({ session_id }) => session_id))) {
      const route = this.#grants.known(sessionId);
      const rows = parcelOf(this.#waiting(sessionId), this.#enrichment.room - GRANT_BYTES);
      const isOnItsWay = rows.every((row) => this.#beaconed.has(row.id) || this.#enrichment.isCarrying(row.turn) || this.#isAnothers(row));
      if (!route || isOnItsWay) continue;
      if (!this.#enrichment.beacon({ ...route, turns: rows.map(({ turn }) => turn) })) return;
      for (const { id } of rows) this.#beaconed.add(id);
    }
  }

  /** The page is looked at again, so what left by beacon was not its last word. */
  returned() {
    this.#beaconed.clear();
  }

  /** And what this tab hears meanwhile. @param {Row[]} rows @returns {Promise<boolean>} false: some are left for later */
  async #sendOn(rows) {
    const { session_id } = /** @type {Row} */ (rows[0]);
    for (let next = rows; next[0]?.tab === this.#tabs.id; next = this.#waiting(session_id)) {
      if (!(await this.#sender.send(parcelOf(next)))) return false;
    }
    return true;
  }

  /** @param {number} askedAtMs */
  async #sendAll(askedAtMs) {
    await this.#turns.refresh();
    await this.#partials.adopt();
    this.#sender.emit("count", undefined);
    const isPosting = await this.#tabs.posting(askedAtMs);
    this.#isAnotherSending = this.#waiting().some(isPosting);
    /** @type {Set<string>} */
    const tried = new Set();
    const next = () => this.#next((row) => !tried.has(row.session_id) && !isPosting(row));
    for (let rows = next(); rows.length > 0; rows = next()) {
      if (!(await this.#sender.send(rows))) tried.add(/** @type {Row} */ (rows[0]).session_id);
      if (this.#sender.pause.leftMs > 0) return;
    }
    await this.#forgetOthers();
  }

  /** @param {(row: Row) => boolean} mayLeave @returns {Row[]} the oldest turns of one session */
  #next(mayLeave) {
    const rows = this.#waiting().filter((row) => this.mayPost(row.session_id) && mayLeave(row));
    return parcelOf(rows.filter(({ session_id, sub }) => session_id === rows[0]?.session_id && sub === rows[0]?.sub));
  }

  /** What may still be in flight from another tab. @param {Row} row */
  #isAnothers({ tab, stored_at }) {
    return tab !== this.#tabs.id && stored_at > Date.now() - DRAIN_EVERY_MS;
  }

  /** After a week nobody will come back for them. */
  async #forgetOthers() {
    const { person } = this.#grants;
    const isOld = (/** @type {Row} */ { sub, stored_at }) => sub !== person && stored_at < Date.now() - KEEP_OTHERS_MS;
    if (person !== null) await this.#turns.remove(this.#turns.rows.filter(isOld));
  }

  /** @param {string} [sessionId] */
  #waiting(sessionId) {
    return this.#turns.waiting(this.#grants.person, sessionId);
  }
}
