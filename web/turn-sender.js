import { BackOff } from "./back-off.js";
import { TypedEvents } from "./typed-events.js";
import { personOf } from "./waiting-turn.js";

/** @typedef {import("./enrichment.js").Answer} Answer */
/** @typedef {import("./enrichment.js").Enrichment} Enrichment */
/** @typedef {import("./other-tabs.js").OtherTabs} OtherTabs */
/** @typedef {import("./session-grants.js").SessionGrants} SessionGrants */
/** @typedef {import("./stored-turns.js").StoredTurns} StoredTurns */
/** @typedef {import("./waiting-turn.js").Row} Row */
/** @typedef {"sending" | "saved" | "waiting" | "refused"} Saved */

/**
 * Sends turns of one session and does what the answer says. A turn is deleted only when an answer lists it, refuses it for good,
 * or says that its session was erased. All others wait: with everybody's when Enrichment takes none, else with their session's.
 * @extends {TypedEvents<{change: {turnId: string, saved: Saved}, count: void}>}
 */
export class TurnSender extends TypedEvents {
  counts = { saved: 0, rejected: 0 };
  /** Of Enrichment as a whole. */
  pause = new BackOff();
  /** @type {Map<string, BackOff>} of the sessions that alone are in trouble */
  #pauses = new Map();
  #turns;
  #grants;
  #tabs;
  #enrichment;

  /** @param {{turns: StoredTurns, grants: SessionGrants, tabs: OtherTabs, enrichment: Enrichment}} parts */
  constructor({ turns, grants, tabs, enrichment }) {
    super();
    this.#turns = turns;
    this.#grants = grants;
    this.#tabs = tabs;
    this.#enrichment = enrichment;
  }

  /** How long the session is still to be left alone. @param {string} sessionId */
  pauseMs(sessionId) {
    return Math.max(this.pause.leftMs, this.#pauses.get(sessionId)?.leftMs ?? 0);
  }

  /** Somebody looks, or the network is back: what failed may be tried again, but not before Enrichment wants it. */
  reset() {
    for (const pause of [this.pause, ...this.#pauses.values()]) pause.reset();
  }

  /**
   * The post leaves in this very task when the session's grant is at hand.
   * @param {Row[]} rows  of one session and person, oldest first @returns {Promise<boolean>} false: they are left for later
   */
  async send(rows) {
    const { session_id } = /** @type {Row} */ (rows[0]);
    const known = this.#grants.known(session_id);
    if (!known) return this.#sendRenewed(rows);
    this.tell(rows, "sending");
    const answer = await this.#post(rows, known);
    return answer.kind === "expired" ? this.#sendRenewed(rows) : this.#heed(rows, answer);
  }

  /** They are settled, one way or the other. @param {Row[]} rows @param {"saved" | "refused"} saved */
  async dismiss(rows, saved) {
    if (rows.length === 0) return true;
    this.counts[saved === "saved" ? "saved" : "rejected"] += rows.length;
    this.#tabs.tell({ saved: [], refused: [], [saved]: rows.map(({ id }) => id) }); // before a tab can miss them on the disk
    const removed = this.#turns.remove(rows);
    this.told(rows, saved);
    await removed;
    return true;
  }

  /** @param {Row[]} rows  that are no longer here @param {"saved" | "refused"} saved */
  told(rows, saved) {
    this.tell(rows.filter(({ partial }) => !partial), saved);
    this.emit("count", undefined);
  }

  /** @param {Row[]} rows @param {Saved} saved */
  tell(rows, saved) {
    for (const { turn } of rows) this.emit("change", { turnId: turn.turn_id, saved });
  }

  /** With a grant asked for just now: one that is refused too is not asked for again. @param {Row[]} rows */
  async #sendRenewed(rows) {
    const { session_id, sub } = /** @type {Row} */ (rows[0]);
    const route = await this.#grants.renew(session_id);
    if (!route) return this.#leave(rows);
    if (personOf(route.grant) !== sub) return false; // somebody else is signed in, in whose memory this must not be
    return this.#heed(rows, await this.#post(rows, route));
  }

  /** @param {Row[]} rows @param {import("./session-grants.js").Route} route */
  #post(rows, route) {
    return this.#enrichment.post({ ...route, turns: rows.map(({ turn }) => turn) });
  }

  /** @param {Row[]} rows @param {Answer} answer @returns {Promise<boolean>} */
  async #heed(rows, answer) {
    if (answer.kind === "wait") {
      this.pause.failed(answer.afterMs);
      this.tell(this.#turns.waiting(this.#grants.person), "waiting"); // also those that were to leave behind these
      return false;
    }
    this.pause.succeeded();
    if (answer.kind === "kept") return this.#settle(rows, answer);
    if (answer.kind === "erased") return this.#purge(rows);
    if (answer.kind === "unreadable") return this.#divide(rows);
    return this.#leave(rows);
  }

  /** @param {Row[]} rows @param {{settled: Set<string>, rejected: Set<string>}} answer */
  async #settle(rows, { settled, rejected }) {
    const saved = rows.filter(({ turn }) => settled.has(turn.turn_id));
    const refused = rows.filter(({ turn }) => rejected.has(turn.turn_id) && !settled.has(turn.turn_id));
    await Promise.all([this.dismiss(saved, "saved"), this.dismiss(refused, "refused")]);
    const unlisted = rows.filter((row) => !saved.includes(row) && !refused.includes(row));
    if (unlisted.length > 0) return this.#leave(unlisted);
    this.#pauses.delete(/** @type {Row} */ (rows[0]).session_id);
    return true;
  }

  /** Somebody wanted the session forgotten: nothing of it is kept here either. @param {Row[]} rows */
  #purge(rows) {
    const { session_id, sub } = /** @type {Row} */ (rows[0]);
    return this.dismiss(this.#turns.rows.filter((row) => row.session_id === session_id && row.sub === sub), "refused");
  }

  /** One bad turn must not hold up its neighbours. @param {Row[]} rows @returns {Promise<boolean>} */
  async #divide(rows) {
    if (rows.length === 1) return this.dismiss(rows, "refused");
    const half = rows.length >> 1;
    return (await this.send(rows.slice(0, half))) && this.send(rows.slice(half));
  }

  /** Only this session is in trouble; the others go on. @param {Row[]} rows */
  #leave(rows) {
    const { session_id } = /** @type {Row} */ (rows[0]);
    const pause = this.#pauses.get(session_id) ?? new BackOff();
    pause.failed();
    this.#pauses.set(session_id, pause);
    this.tell(rows, "waiting");
    return false;
  }
}
