import { TypedEvents } from "./typed-events.js";

/** @typedef {{saved: string[], refused: string[]}} Settled  ids of rows that the outbox has no more */
/** @typedef {{lease(tab: string, ms: number): Promise<boolean>}} Leases */

const SENDING = "engram-outbox";
const HEARING = "engram-tab-"; // and the tab's id
const TOO_LATE_MS = 2_000; // from storing a turn to being heard by the others, on a busy machine
const LEASE_MS = 30_000; // longer than one post takes
const STILL_HEARD_MS = 2 * 60_000; // without locks: who has not written for so long is gone

/**
 * The other tabs of this page: which of them sends, who still lives, and what they have done.
 * Locks are held while something is sent or heard, never longer, because a held lock can keep a page out of the back/forward cache.
 * @extends {TypedEvents<{settled: Settled}>}
 */
export class OtherTabs extends TypedEvents {
  id = crypto.getRandomValues(new Uint32Array(3)).join("-");
  #leases;
  /** @type {BroadcastChannel | null} */
  #channel = null;
  #stopHearing = () => {};
  /** @type {Promise<void> | null} */
  #hearing = null;

  /** @param {Leases} leases  what stands in for locks where there are none */
  constructor(leases) {
    super();
    this.#leases = leases;
    this.#tune();
    addEventListener("pageshow", ({ persisted }) => persisted && this.#tune());
    addEventListener("pagehide", () => this.#leave());
  }

  /**
   * Does the work while no other tab does.
   * @param {(askedAtMs: number) => Promise<void>} work @param {{isPatient?: boolean}} [options]  patient: waits for its turn
   * @returns {Promise<boolean>} false: another tab is sending
   */
  async alone(work, { isPatient = false } = {}) {
    if (!navigator.locks) return this.#underLease(work);
    const askedAtMs = Date.now();
    let hasBegun = false;
    const begin = async (/** @type {Lock | null} */ lock) => {
      hasBegun = true;
      if (lock) await work(askedAtMs);
      return lock !== null;
    };
    return navigator.locks.request(SENDING, isPatient ? {} : { ifAvailable: true }, begin).catch((error) => {
      if (hasBegun) throw error;
      return this.#underLease(work); // a sandbox that has locks, and forbids them
    });
  }

  /** Keeps other tabs from sending the same while this tab does. @param {Promise<unknown>} sending @returns {Promise<void>} */
  async whileSending(sending) {
    const over = new AbortController();
    const told = sending.finally(() => over.abort()); // a lock that is only waited for is no longer wanted
    const options = /** @type {const} */ ({ mode: "shared", signal: over.signal });
    await navigator.locks?.request(SENDING, options, () => sending).catch(() => {});
    await told;
  }

  /**
   * What another tab is posting although this one is alone: it stored it and asked for the lock a moment too late.
   * @param {number} askedAtMs @returns {Promise<(row: {tab: string, stored_at: number}) => boolean>}
   */
  async posting(askedAtMs) {
    const { pending = [] } = (await locks()) ?? { pending: [{ name: SENDING, mode: "shared" }] }; // unknown: as if
    const isAny = pending.some(({ name, mode }) => name === SENDING && mode === "shared");
    return ({ tab, stored_at }) => isAny && tab !== this.id && stored_at > askedAtMs - TOO_LATE_MS;
  }

  /** From now on this tab is known to hear something whose end is still to come. @returns {Promise<void>} when the others can see it */
  hear() {
    return (this.#hearing ??= this.#holdHearing());
  }

  hearNoMore() {
    this.#stopHearing();
    this.#hearing = null;
  }

  /** @returns {Promise<(row: {tab: string, stored_at: number}) => boolean>} whether whoever stored a row may still write the rest of it */
  async living() {
    const known = await locks();
    if (!known) return ({ tab, stored_at }) => tab === this.id || stored_at > Date.now() - STILL_HEARD_MS;
    const names = new Set(known.held?.map(({ name }) => name));
    return ({ tab }) => tab === this.id || names.has(HEARING + tab);
  }

  /** @param {Settled} settled */
  tell(settled) {
    this.#channel?.postMessage(settled);
  }

  /** @param {(askedAtMs: number) => Promise<void>} work */
  async #underLease(work) {
    if (!(await this.#leases.lease(this.id, LEASE_MS).catch(() => false))) return false;
    await work(Date.now() - LEASE_MS); // without locks only time tells that a tab has finished sending
    await this.#leases.lease(this.id, 0).catch(() => false);
    return true;
  }

  /** @returns {Promise<void>} */
  #holdHearing() {
    const over = new Promise((stop) => (this.#stopHearing = () => stop(undefined)));
    return new Promise((heard) => {
      if (!navigator.locks) return heard();
      navigator.locks.request(HEARING + this.id, () => (heard(), over)).catch(() => heard());
    });
  }

  #leave() {
    this.#channel?.close(); // an open channel too can keep a page out of that cache
    this.#channel = null;
  }

  #tune() {
    if (!("BroadcastChannel" in globalThis)) return;
    this.#channel = new BroadcastChannel(SENDING);
    this.#channel.onmessage = ({ data }) => this.emit("settled", data);
  }
}

/** Who holds locks and who waits for them; null where nobody can know. */
async function locks() {
  return navigator.locks?.query().catch(() => null) ?? null;
}
