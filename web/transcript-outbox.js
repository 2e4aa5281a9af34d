import { Enrichment } from "./enrichment.js";
import { OtherTabs } from "./other-tabs.js";
import { OutboxDrain } from "./outbox-drain.js";
import { PartialTurns } from "./partial-turns.js";
import { SessionGrants } from "./session-grants.js";
import { StoredTurns } from "./stored-turns.js";
import { TurnSender } from "./turn-sender.js";
import { TypedEvents } from "./typed-events.js";
import { idOf } from "./waiting-turn.js";

/** @typedef {import("./session-grants.js").Renew} Renew */
/** @typedef {import("./session-grants.js").Route} Route */
/** @typedef {import("./transcript-assembler.js").Turn} Turn */
/** @typedef {import("./turn-sender.js").Saved} Saved */
/** @typedef {import("./waiting-turn.js").Row} Row */
/** @typedef {{change: {turnId: string, saved: Saved}, unsent: number, full: boolean}} OutboxEvents  unsent: how many of the
 *   person's turns wait. full: the disk takes no more, so what is unsent would not survive this page; false: it does again */

/**
 * Turns that Enrichment has not yet accepted, kept in IndexedDB so that a reload or a dead network loses none.
 *
 * A turn is stored and posted in the same task, and deleted only when an answer lists it. What waits is sent on load, when the
 * network or the person comes back, and every 30 s; failures wait 1 s, 2 s, 4 s … 5 min. Turns of somebody else are never sent.
 * @extends {TypedEvents<OutboxEvents>}
 */
export class TranscriptOutbox extends TypedEvents {
  #turns;
  #grants;
  #tabs;
  #partials;
  #sender;
  #drain;
  #unsent = 0;
  #isLeaving = false;
  #hasAskedToPersist = false;

  /** @param {{renew: Renew}} options  renew: asked for a session's grant when none is at hand @returns {Promise<TranscriptOutbox>} */
  static async open({ renew }) {
    const outbox = new TranscriptOutbox(await StoredTurns.open(), new SessionGrants(renew));
    void outbox.flush();
    return outbox;
  }

  /** @param {StoredTurns} turns @param {SessionGrants} grants */
  constructor(turns, grants) {
    super();
    const enrichment = new Enrichment();
    const tabs = (this.#tabs = new OtherTabs(turns));
    const partials = (this.#partials = new PartialTurns(turns, tabs));
    const sender = (this.#sender = new TurnSender({ turns, grants, tabs, enrichment }));
    this.#drain = new OutboxDrain({ turns, grants, tabs, partials, enrichment, sender });
    this.#turns = turns;
    this.#grants = grants;
    this.#followParts();
    this.#followPage();
  }

  /**
   * Stores and, in the same task, posts: whichever is faster survives a tab that is closed now.
   * @param {Route} route @param {Turn[]} turns @returns {Promise<boolean>} whether they are on the disk, once that is known
   */
  add(route, turns) {
    if (turns.length === 0) return Promise.resolve(true);
    const rows = this.#rowsOf(route, turns);
    const isNext = this.#waiting(route.session_id).length === 0 && this.#drain.mayPost(route.session_id);
    const stored = this.#turns.put(rows);
    if (isNext) void this.#drain.sendNow(rows);
    else this.#queue(rows);
    void this.#partials.finish(rows, stored);
    this.#count();
    this.#askToPersist();
    return stored;
  }

  /**
   * Keeps what was heard so far of an answer; cheap enough for every delta. `add` with the same turn replaces it; if the page
   * dies before, the next one sends it as interrupted.
   * @param {Route} route @param {Turn} turn
   */
  keepPartial(route, turn) {
    for (const row of this.#rowsOf(route, [turn])) this.#partials.keep({ ...row, partial: true });
  }

  /** Sends what is stored. @returns {Promise<void>} when nothing is left that could be sent now */
  flush() {
    return this.#drain.flush();
  }

  /**
   * The turns of the session that still wait, oldest first. Nothing when they are not known to be those of whoever is signed in.
   * @param {string} sessionId @returns {Promise<Turn[]>}
   */
  async waitingTurns(sessionId) {
    await this.#identify(sessionId);
    return this.#grants.person === null ? [] : this.#waiting(sessionId).map(({ turn }) => turn);
  }

  /** waiting: not sent yet. partial: still being heard. others: of somebody else. unstored: would be lost with this page. */
  stats() {
    const { rows, unstored } = this.#turns;
    const partial = rows.filter((row) => row.partial).length;
    const waiting = this.#waiting().length;
    return { ...this.#sender.counts, waiting, partial, others: rows.length - waiting - partial, unstored };
  }

  /** The person signs out: sends what can be sent, then forgets the rest. @returns {Promise<number>} how many turns were not sent */
  async sendThenClear() {
    this.#sender.reset();
    await this.flush();
    await this.#drain.drain({ isPatient: true }); // another tab was sending, perhaps not all
    return this.clear();
  }

  /** The person signs out: nothing of theirs stays in this browser. @returns {Promise<number>} how many turns were not sent */
  async clear() {
    await this.#turns.refresh();
    await this.#identify();
    const unsent = this.#waiting().length;
    const { person } = this.#grants; // unknown: everybody's, for to forget is what was asked
    this.#partials.clear();
    await this.#sender.dismiss(this.#turns.rows.filter(({ sub }) => person === null || sub === person), "refused");
    this.#grants.forget();
    return unsent;
  }

  /** @param {Route} route @param {Turn[]} turns @returns {Row[]} */
  #rowsOf(route, turns) {
    const sub = this.#grants.learn(route);
    const { session_id } = route;
    const common = { sub, session_id, stored_at: Date.now(), tab: this.#tabs.id, partial: false };
    return turns.map((turn) => ({ ...common, id: idOf(sub, session_id, turn), turn, order: this.#turns.nextOrder() }));
  }

  /** Finds out who is signed in, where something waits and no grant has told yet. @param {string} [sessionId] */
  async #identify(sessionId) {
    const [oldest] = this.#waiting(sessionId);
    if (oldest && this.#grants.person === null) await this.#grants.renew(oldest.session_id);
  }

  /** @param {string} [sessionId] */
  #waiting(sessionId) {
    return this.#turns.waiting(this.#grants.person, sessionId);
  }

  /** @param {Row[]} rows  behind others of their session */
  #queue(rows) {
    this.#sender.tell(rows, this.#sender.pauseMs(/** @type {Row} */ (rows[0]).session_id) > 0 ? "waiting" : "sending");
    if (this.#isLeaving) this.#drain.beacon();
    this.#drain.schedule();
  }

  #followParts() {
    this.#turns.on("late", () => void this.flush());
    this.#turns.on("full", (isFull) => this.emit("full", isFull));
    this.#sender.on("change", (change) => this.emit("change", change));
    this.#sender.on("count", () => this.#count());
    this.#tabs.on("settled", ({ saved, refused }) => {
      this.#sender.told(this.#turns.forget(saved), "saved");
      this.#sender.told(this.#turns.forget(refused), "refused");
      if (this.#waiting().length > 0) void this.flush(); // what came after those
    });
  }

  #followPage() {
    addEventListener("online", () => this.#wake());
    addEventListener("pageshow", ({ persisted }) => persisted && this.#wake());
    addEventListener("visibilitychange", () => {
      const { visibilityState } = document;
      if (visibilityState === "hidden") this.#drain.beacon();
      else this.#wake();
    });
    addEventListener("pagehide", () => {
      this.#isLeaving = true;
      this.#drain.beacon();
    });
  }

  /** Somebody looks, or the network is back. */
  #wake() {
    this.#isLeaving = false;
    this.#drain.returned();
    this.#sender.reset();
    void this.flush();
  }

  #askToPersist() {
    if (this.#hasAskedToPersist) return;
    this.#hasAskedToPersist = true;
    void navigator.storage?.persist?.().catch(() => {});
  }

  #count() {
    const unsent = this.#waiting().length;
    if (unsent !== this.#unsent) this.emit("unsent", (this.#unsent = unsent));
  }
}
