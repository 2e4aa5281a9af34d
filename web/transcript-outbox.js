import { byteLength, postTurns } from "./enrichment.js";
import { TypedEvents } from "./typed-events.js";

/** @typedef {import("./transcript-assembler.js").Turn} Turn */
/** @typedef {"sending" | "saved" | "waiting" | "refused"} Saved */
/** @typedef {{url: string, session_id: string, grant: string}} Route  where the turns of a session go */
/** @typedef {Route & {turn: Turn, stored_at: number, refused: boolean, key?: number}} Row  key: given by the database */
/** @typedef {{change: {turnId: string, saved: Saved}}} OutboxEvents */
/** @typedef {(sessionId: string) => Promise<string | null>} Renew  a new grant for the session, if there is one */

const OPEN_DEADLINE_MS = 3_000; // a damaged profile may never answer, and must not keep the page from calling
const FIRST_RETRY_MS = 1_000;
const LAST_RETRY_MS = 5 * 60_000;
const KEEP_REFUSED_MS = 7 * 24 * 3_600_000;
const MOST_TURNS = 30;
const MOST_BYTES = 40 * 1024; // leaves room for the grant under the limit of a keepalive post

/**
 * Turns that Enrichment has not yet accepted, kept in IndexedDB so that a reload or a dead network loses none.
 *
 * A turn is stored before it is sent and deleted only when the answer lists it. Oldest first within a session.
 * One run at a time in this tab, and through a lock in all tabs. Failures wait 1 s, 2 s, 4 s … 5 min, together.
 * @extends {TypedEvents<OutboxEvents>}
 */
export class TranscriptOutbox extends TypedEvents {
  #rows;
  #renew;
  /** @type {Promise<void> | null} */
  #running = null;
  #isMoreToDo = false;
  /** @type {Map<string, string>} session id -> its newest grant */
  #grants = new Map();
  /** @type {Set<string>} sessions whose grant was renewed in this run */
  #renewed = new Set();
  #failures = 0;
  #notBeforeMs = 0;
  #retryTimer = 0;
  #counts = { saved: 0, rejected: 0 };

  /** @param {{renew: Renew}} options @returns {Promise<TranscriptOutbox>} */
  static async open({ renew }) {
    const rows = new StoredRows(await openDatabase().catch(() => null));
    await rows.forgetOldRefusals();
    const outbox = new TranscriptOutbox(rows, renew);
    for (const moment of ["online", "visibilitychange"]) addEventListener(moment, () => outbox.#wake());
    void outbox.flush();
    return outbox;
  }

  /** @param {StoredRows} rows @param {Renew} renew */
  constructor(rows, renew) {
    super();
    this.#rows = rows;
    this.#renew = renew;
  }

  /**
   * Stores and, in the same task, posts: whichever is faster survives a tab that is closed now.
   * @param {Route} route @param {Turn[]} turns @returns {Promise<void>} when they are stored
   */
  add(route, turns) {
    const rows = turns.map((turn) => ({ ...route, turn, stored_at: Date.now(), refused: false }));
    const stored = this.#rows.add(rows);
    this.#grants.set(route.session_id, route.grant);
    this.#tell(rows, this.#retryTimer ? "waiting" : "sending");
    if (this.#running) this.#isMoreToDo = true;
    else if (!this.#retryTimer) this.#running = this.#run(rows, stored);
    return stored;
  }

  /** Sends what is stored. @returns {Promise<void>} when nothing is left that could be sent now */
  flush() {
    this.#isMoreToDo = this.#running !== null;
    return (this.#running ??= this.#run([]));
  }

  async stats() {
    const rows = await this.#rows.all();
    const refused = rows.filter((row) => row.refused).length;
    return { ...this.#counts, refused, waiting: rows.length - refused };
  }

  /** Somebody looks, or the network is back: try now, unless Enrichment asked for time. */
  #wake() {
    this.#failures = 0;
    if (Date.now() >= this.#notBeforeMs) void this.flush();
  }

  /** @param {Row[]} fresh  this tab's newest, sent at once when nothing older waits @param {Promise<void>} [stored] */
  async #run(fresh, stored) {
    clearTimeout(this.#retryTimer);
    this.#retryTimer = 0;
    this.#renewed.clear();
    try {
      await this.#sendAll(fresh, stored);
    } finally {
      this.#running = null;
    }
    if (this.#isMoreToDo && !this.#retryTimer) void this.flush(); // added after the last look into the database
  }

  /** @param {Row[]} fresh @param {Promise<void>} [stored] */
  async #sendAll(fresh, stored) {
    const first = parcelOf(fresh);
    /** @type {Set<string>} */
    const stuck = new Set();
    if (first[0] && !(await this.#send(first, stored))) stuck.add(first[0].session_id);
    const isAllSent = first.length > 0 && first.length === fresh.length && stuck.size === 0;
    if (!isAllSent || this.#isMoreToDo) await alone(() => this.#drain(stuck));
  }

  /** @param {Set<string>} stuck  sessions to leave alone until the next run */
  async #drain(stuck) {
    do {
      this.#isMoreToDo = false;
      for (let rows = await this.#next(stuck); rows.length > 0; rows = await this.#next(stuck)) {
        if (!(await this.#send(rows))) stuck.add(/** @type {Row} */ (rows[0]).session_id);
      }
    } while (this.#isMoreToDo);
    if (stuck.size > 0) this.#retryLater();
    else this.#failures = 0;
  }

  /** @param {Set<string>} stuck @returns {Promise<Row[]>} the oldest turns of one session */
  async #next(stuck) {
    const rows = (await this.#rows.all()).filter((row) => !row.refused && !stuck.has(row.session_id));
    return parcelOf(rows.filter((row) => row.session_id === rows[0]?.session_id));
  }

  /** @param {Row[]} rows  of one session @param {Promise<void>} [stored] @returns {Promise<boolean>} false: later */
  async #send(rows, stored) {
    const [{ url, session_id, grant: oldest }] = /** @type {[Row]} */ (rows);
    const grant = this.#grants.get(session_id) ?? oldest;
    this.#tell(rows, "sending");
    const answer = await postTurns({ url, grant, session_id, turns: rows.map((row) => row.turn) });
    await stored;
    if (answer.kind === "kept") return this.#settle(rows, answer);
    if (answer.kind === "expired" && (await this.#renewGrant(session_id))) return this.#send(rows);
    if (answer.kind === "refused") return this.#refuse(rows);
    if (answer.kind === "erased") return this.#purge(rows);
    if (answer.kind === "unreadable") return this.#divide(rows);
    if (answer.kind === "wait") this.#notBeforeMs = Date.now() + answer.afterMs;
    this.#tell(rows, "waiting");
    return false;
  }

  /** @param {Row[]} rows @param {{settled: Set<string>, rejected: Set<string>}} answer */
  async #settle(rows, { settled, rejected }) {
    const saved = rows.filter((row) => settled.has(row.turn.turn_id));
    const refused = rows.filter((row) => rejected.has(row.turn.turn_id) && !settled.has(row.turn.turn_id));
    const areGone = await this.#rows.remove([...saved, ...refused]);
    this.#counts.saved += saved.length;
    this.#counts.rejected += refused.length;
    this.#tell(saved, "saved");
    this.#tell(refused, "refused");
    const unlisted = rows.filter((row) => !saved.includes(row) && !refused.includes(row));
    this.#tell(unlisted, "waiting");
    return areGone && unlisted.length === 0;
  }

  /** Keeps the rows without ever sending them again. @param {Row[]} rows */
  async #refuse(rows) {
    this.#tell(rows, "refused");
    return this.#rows.refuse(rows);
  }

  /** Somebody wanted them forgotten: they are not kept here either. @param {Row[]} rows */
  async #purge(rows) {
    this.#counts.rejected += rows.length;
    this.#tell(rows, "refused");
    return this.#rows.remove(rows);
  }

  /** One bad turn must not hold up its neighbours. @param {Row[]} rows @returns {Promise<boolean>} */
  async #divide(rows) {
    if (rows.length === 1) return this.#refuse(rows);
    const half = rows.length >> 1;
    return (await this.#send(rows.slice(0, half))) && this.#send(rows.slice(half));
  }

  /** @param {string} sessionId */
  async #renewGrant(sessionId) {
    if (this.#renewed.has(sessionId)) return false;
    this.#renewed.add(sessionId);
    const grant = await this.#renew(sessionId).catch(() => null);
    if (grant) this.#grants.set(sessionId, grant);
    return grant !== null;
  }

  #retryLater() {
    const backOffMs = Math.min(FIRST_RETRY_MS * 2 ** this.#failures++, LAST_RETRY_MS) * (0.5 + Math.random() / 2);
    const delayMs = Math.max(backOffMs, this.#notBeforeMs - Date.now());
    this.#retryTimer = setTimeout(() => void this.flush(), delayMs);
  }

  /** @param {Row[]} rows @param {Saved} saved */
  #tell(rows, saved) {
    for (const { turn } of rows) this.emit("change", { turnId: turn.turn_id, saved });
  }
}

/** The rows in IndexedDB; those it will not take (private window, full disk) live as long as the page. */
class StoredRows {
  /** @type {Set<Row>} */
  #homeless = new Set();
  #database;

  /** @param {IDBDatabase | null} database */
  constructor(database) {
    this.#database = database;
  }

  /** @param {Row[]} rows  given their key */
  async add(rows) {
    try {
      await this.#write((store) => {
        for (const row of rows) {
          const request = store.add(row);
          request.onsuccess = () => (row.key = /** @type {number} */ (request.result));
        }
      });
    } catch {
      for (const row of rows) this.#homeless.add(row);
    }
  }

  /** @returns {Promise<Row[]>} oldest first */
  async all() {
    return [...(await this.#read().catch(() => [])), ...this.#homeless];
  }

  /** @param {Row[]} rows @returns {Promise<boolean>} false: they are still there, and would be sent again at once */
  async remove(rows) {
    for (const row of rows) this.#homeless.delete(row);
    return this.#change(rows, (store, row) => store.delete(/** @type {number} */ (row.key)));
  }

  /** @param {Row[]} rows @returns {Promise<boolean>} */
  async refuse(rows) {
    for (const row of rows) row.refused = true;
    return this.#change(rows, (store, row) => store.put(row));
  }

  /** @param {Row[]} rows @param {(store: IDBObjectStore, row: Row) => void} change @returns {Promise<boolean>} done? */
  #change(rows, change) {
    const stored = rows.filter((row) => row.key !== undefined);
    if (stored.length === 0) return Promise.resolve(true);
    const written = this.#write((store) => stored.forEach((row) => change(store, row)));
    return written.then(() => true, () => false);
  }

  async forgetOldRefusals() {
    const old = (await this.all()).filter((row) => row.refused && row.stored_at < Date.now() - KEEP_REFUSED_MS);
    await this.remove(old);
  }

  /** @returns {Promise<Row[]>} */
  async #read() {
    if (!this.#database) return [];
    const transaction = this.#database.transaction("turns");
    const request = transaction.objectStore("turns").getAll();
    await finished(transaction);
    return request.result;
  }

  /** @param {(store: IDBObjectStore) => void} fill @returns {Promise<void>} when it is on the disk */
  async #write(fill) {
    if (!this.#database) throw new Error("this browser keeps nothing");
    const transaction = this.#database.transaction("turns", "readwrite", { durability: "strict" });
    fill(transaction.objectStore("turns"));
    transaction.commit();
    await finished(transaction);
  }
}

/** @param {Row[]} rows  of one session, oldest first @returns {Row[]} as many of the first as fit into one post */
function parcelOf(rows) {
  let bytes = 0;
  const fits = (/** @type {Row} */ row) => (bytes += byteLength(JSON.stringify(row.turn))) <= MOST_BYTES;
  const tooMany = rows.slice(0, MOST_TURNS).findIndex((row, index) => !fits(row) && index > 0);
  return rows.slice(0, tooMany < 0 ? MOST_TURNS : tooMany);
}

/** Two tabs that send the same rows would do no harm, only double the traffic. @param {() => Promise<void>} work */
function alone(work) {
  return navigator.locks ? navigator.locks.request("engram-outbox", work) : work();
}

/** @returns {Promise<IDBDatabase>} rejects where the browser has no storage for us */
function openDatabase() {
  return new Promise((resolve, reject) => {
    setTimeout(() => reject(new Error("the database does not open")), OPEN_DEADLINE_MS);
    const request = indexedDB.open("voicelive", 1);
    request.onupgradeneeded = () => request.result.createObjectStore("turns", { keyPath: "key", autoIncrement: true });
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/** @param {IDBTransaction} transaction @returns {Promise<void>} */
function finished(transaction) {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = transaction.onerror = () => reject(transaction.error);
  });
}
