import { TypedEvents } from "./typed-events.js";
import { fromVersion1 } from "./waiting-turn.js";
import { within } from "./within.js";

/** @typedef {import("./waiting-turn.js").Row} Row */

const OPEN_DEADLINE_MS = 3_000; // a damaged profile may never answer, and must not keep the page from calling
const DEADLINE_MS = 5_000; // a commit takes 15 ms at worst on a healthy disk

/**
 * The turns in IndexedDB, and the only module that touches it. Everything known is also here in memory: a page that is being
 * closed cannot wait to read, and what the disk will not take (private window, full, broken) lives as long as the page.
 * full: the disk has no room, so turns would not survive this page; false: it has again. late: the database opened after all.
 * @extends {TypedEvents<{full: boolean, late: void}>}
 */
export class StoredTurns extends TypedEvents {
  /** @type {IDBDatabase | null} */
  #database = null;
  /** @type {Promise<void> | null} */
  #connecting = null;
  /** @type {Map<string, Row>} */
  #rows = new Map();
  /** @type {Set<string>} ids of rows that are only in memory */
  #homeless = new Set();
  /** @type {Set<string>} ids removed here: a read that began before, or a disk that forgets nothing, must not bring them back */
  #gone = new Set();
  #order = 0;
  #isFull = false;

  /** Never rejects, and never takes longer than 3 s; a database that opens later is used from then on. */
  static async open() {
    const turns = new StoredTurns();
    const opened = turns.#connect();
    const isOpen = await within(OPEN_DEADLINE_MS, opened).then(() => true, () => false);
    if (!isOpen) turns.#connectLate();
    return turns;
  }

  /** All that is known, oldest first. */
  get rows() {
    return [...this.#rows.values()].sort((one, other) => one.order - other.order);
  }

  /**
   * What may be sent, oldest first: whole turns, and none of anybody else.
   * @param {string | null} person  null: nobody is known, so they may be theirs @param {string} [sessionId]
   */
  waiting(person, sessionId) {
    const isTheirs = (/** @type {Row} */ { sub }) => person === null || sub === person;
    return this.rows.filter((row) => !row.partial && isTheirs(row) && (!sessionId || row.session_id === sessionId));
  }

  /** How many turns would be lost with this page. */
  get unstored() {
    return this.#homeless.size;
  }

  nextOrder() {
    return (this.#order = Math.max(this.#order + 1, Date.now()));
  }

  /** Begins to write in this very task. @param {Row[]} rows @returns {Promise<boolean>} whether they are on the disk */
  async put(rows) {
    for (const row of rows) {
      this.#rows.set(row.id, row);
      this.#gone.delete(row.id);
    }
    return this.#store(rows);
  }

  /** Here at once, on the disk when it resolves. @param {Row[]} rows */
  async remove(rows) {
    for (const { id } of rows) {
      this.#rows.delete(id);
      this.#homeless.delete(id);
      this.#gone.add(id);
    }
    if (rows.length > 0) await this.#write((store) => rows.forEach(({ id }) => store.delete(id))).catch(() => {});
  }

  /** Another tab removed them. @param {string[]} ids @returns {Row[]} those that were known here */
  forget(ids) {
    const known = ids.flatMap((id) => this.#rows.get(id) ?? []);
    for (const id of ids) {
      this.#rows.delete(id);
      this.#gone.add(id);
    }
    return known;
  }

  /** Looks what other tabs and earlier pages stored, and stores again what the browser threw away. */
  async refresh() {
    if (!this.#database) return this.#connectLate();
    await this.#store([...this.#homeless].flatMap((id) => this.#rows.get(id) ?? []));
    const before = this.rows;
    const stored = await this.#read().catch(() => null);
    if (stored === null) return;
    for (const row of stored) this.#learn(row);
    const found = new Set(stored.map(({ id }) => id));
    this.#miss(before.filter(({ id }) => !found.has(id) && this.#rows.has(id) && !this.#homeless.has(id)));
  }

  /** Makes interrupted turns of partial ones, unless they became whole since somebody looked. @param {Row[]} partials */
  async interrupt(partials) {
    /** @type {Row[]} */
    const interrupted = [];
    await this.#write((store) => {
      for (const { id } of partials) {
        const request = store.get(id);
        request.onsuccess = () => {
          if (!request.result?.partial) return;
          interrupted.push({ ...request.result, partial: false, turn: { ...request.result.turn, interrupted: true } });
          store.put(interrupted.at(-1));
        };
      }
    }, { isWhole: false });
    for (const row of interrupted) this.#learn(row);
  }

  /** For browsers without Web Locks. @param {string} tab @param {number} ms @returns {Promise<boolean>} whether it is this tab's now */
  async lease(tab, ms) {
    if (!this.#database) return true; // nothing is shared, so nothing can be sent twice
    const transaction = this.#database.transaction("leases", "readwrite");
    const leases = transaction.objectStore("leases");
    const request = leases.get("drain");
    let isOurs = false;
    request.onsuccess = () => {
      isOurs = !request.result || request.result.tab === tab || request.result.until < Date.now();
      if (isOurs) leases.put({ name: "drain", tab, until: Date.now() + ms });
    };
    await finished(transaction);
    return isOurs;
  }

  /** @param {Row[]} rows @returns {Promise<boolean>} */
  async #store(rows) {
    if (rows.length === 0) return true;
    try {
      await this.#write((store) => rows.forEach((row) => store.put(row)));
    } catch (error) {
      for (const { id } of rows) if (this.#rows.has(id)) this.#homeless.add(id);
      if (/** @type {any} */ (error)?.name === "QuotaExceededError") this.#tellFull(true);
      return false;
    }
    for (const { id } of rows) this.#homeless.delete(id);
    if (this.#homeless.size === 0) this.#tellFull(false);
    return true;
  }

  /** Gone from the disk, and no tab has said that it sent them: sent once more they do no harm, and never sent they are lost.
   * @param {Row[]} rows */
  #miss(rows) {
    for (const { id, partial } of rows) {
      if (partial) this.#rows.delete(id);
      else this.#homeless.add(id);
    }
  }

  /** @param {boolean} isFull */
  #tellFull(isFull) {
    if (isFull !== this.#isFull) this.emit("full", (this.#isFull = isFull));
  }

  /** @param {Row} row  as the disk has it */
  #learn(row) {
    this.#order = Math.max(this.#order, row.order);
    const { order = -1, partial } = this.#rows.get(row.id) ?? {};
    const isNews = order < row.order || (order === row.order && partial !== row.partial);
    if (isNews && !this.#gone.has(row.id)) this.#rows.set(row.id, row);
  }

  /** One attempt at a time: one that hangs may still succeed. @returns {Promise<void>} */
  #connect() {
    this.#connecting ??= openDatabase()
      .then((database) => this.#use(database))
      .finally(() => (this.#connecting = null));
    return this.#connecting;
  }

  #connectLate() {
    this.#connect().then(() => this.emit("late", undefined), () => {}); // then at the next look
  }

  /** @param {IDBDatabase} database */
  async #use(database) {
    this.#database = database;
    database.onclose = () => (this.#database = null);
    database.onversionchange = () => { // a newer version of the page is waiting for us to let go
      database.close();
      this.#database = null;
    };
    await this.refresh();
  }

  /** @returns {Promise<Row[]>} */
  async #read() {
    if (!this.#database) throw new Error("this browser keeps nothing");
    const transaction = this.#database.transaction("unsent");
    const request = transaction.objectStore("unsent").getAll();
    await finished(transaction);
    return request.result;
  }

  /** @param {(store: IDBObjectStore) => void} fill @param {{isWhole?: boolean}} [options]  not whole: more is written when
   *   something was read @returns {Promise<void>} when it is on the disk */
  async #write(fill, { isWhole = true } = {}) {
    if (!this.#database) throw new Error("this browser keeps nothing");
    const transaction = this.#database.transaction("unsent", "readwrite", { durability: "strict" });
    fill(transaction.objectStore("unsent"));
    if (isWhole) transaction.commit();
    await finished(transaction);
  }
}

/** @returns {Promise<IDBDatabase>} rejects where the browser has no storage for us */
function openDatabase() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open("voicelive", 2);
    request.onupgradeneeded = () => upgrade(request.result, /** @type {IDBTransaction} */ (request.transaction));
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/** @param {IDBDatabase} database @param {IDBTransaction} transaction */
function upgrade(database, transaction) {
  const unsent = database.createObjectStore("unsent", { keyPath: "id" });
  database.createObjectStore("leases", { keyPath: "name" });
  if (!database.objectStoreNames.contains("turns")) return;
  const old = transaction.objectStore("turns").getAll(); // version 1 stored the grant beside each turn
  old.onsuccess = () => {
    for (const row of old.result) if (!row.refused) unsent.put(fromVersion1(row));
    database.deleteObjectStore("turns");
  };
}

/** @param {IDBTransaction} transaction @returns {Promise<void>} */
function finished(transaction) {
  return within(DEADLINE_MS, new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve(undefined);
    transaction.onabort = () => reject(transaction.error); // also after an error of one request, and only then with its cause
  }));
}
