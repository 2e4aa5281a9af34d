/** @typedef {import("./transcript-assembler.js").Turn} Turn */
/** @typedef {{url: string, grant: string, session_id: string, traceparent?: string, turns: Turn[]}} Parcel  turns of one session, in their order */
/**
 * What Enrichment did with the turns. `wait`: it takes none from anybody now; not before `afterMs`. `failed`: it would not take
 * these. `expired`: the grant is not good, or no longer. `erased`: nothing of this session may be kept anywhere.
 * `unreadable`: something in these turns is at fault, or they are too many.
 * @typedef {{kind: "kept", settled: Set<string>, rejected: Set<string>} | {kind: "wait", afterMs: number}
 *   | {kind: "failed" | "expired" | "erased" | "unreadable"}} Answer
 */

const ANSWER_DEADLINE_MS = 15_000;
const KEPT_ALIVE_BYTES = 48 * 1024; // browsers refuse more than 64 KiB in flight from a page that is being closed

/** @type {Record<number, "expired" | "erased" | "unreadable">} */
const VERDICTS = { 401: "expired", 403: "expired", 410: "erased", 400: "unreadable", 409: "unreadable", 413: "unreadable", 422: "unreadable" };
const CONCERNS_ALL = new Set([408, 429, 502, 503, 504]);

/** Enrichment over HTTP. Plain-text bodies need no preflight, so one packet is enough when the page is being closed. */
export class Enrichment {
  #bytesInFlight = 0;
  /** @type {Set<Turn>} what is in flight and arrives although the page is closed */
  #keptAlive = new Set();

  /** How many bytes may still leave in a way that survives the page. */
  get room() {
    return KEPT_ALIVE_BYTES - this.#bytesInFlight;
  }

  /** Whether a post that survives the page is carrying the turn now. @param {Turn} turn */
  isCarrying(turn) {
    return this.#keptAlive.has(turn);
  }

  /** Never rejects; the request leaves in this very task. Sending a turn twice is harmless. @param {Parcel} parcel @returns {Promise<Answer>} */
  async post({ url, ...content }) {
    const body = JSON.stringify(content);
    const keepalive = byteLength(body) <= this.room;
    if (!keepalive) return ask(url, { body });
    this.#bytesInFlight += byteLength(body);
    for (const turn of content.turns) this.#keptAlive.add(turn);
    const answer = await ask(url, { body, keepalive });
    this.#bytesInFlight -= byteLength(body);
    for (const turn of content.turns) this.#keptAlive.delete(turn);
    return answer;
  }

  /** Nobody hears the answer, so nothing follows from it. @param {Parcel} parcel @returns {boolean} whether the browser took it */
  beacon({ url, ...content }) {
    return navigator.sendBeacon(url, JSON.stringify(content)); // a string is sent as text/plain
  }
}

/** @param {string} url @param {RequestInit} request @returns {Promise<Answer>} */
async function ask(url, request) {
  try {
    const response = await fetch(url, {
      method: "POST",
      headers: { "Content-Type": "text/plain;charset=UTF-8" },
      credentials: "omit",
      signal: AbortSignal.timeout(ANSWER_DEADLINE_MS),
      ...request,
    });
    return await read(response);
  } catch {
    return { kind: "wait", afterMs: 0 };
  }
}

/** @param {string} text */
export function byteLength(text) {
  return new TextEncoder().encode(text).length;
}

/** @param {Response} response @returns {Promise<Answer>} */
async function read(response) {
  if (response.status === 202) return kept(await response.json());
  const kind = VERDICTS[response.status] ?? "failed";
  return CONCERNS_ALL.has(response.status) ? { kind: "wait", afterMs: await retryAfterMs(response) } : { kind };
}

/** @param {{accepted?: string[], duplicate?: string[], rejected?: {turn_id: string}[]}} body @returns {Answer} */
function kept({ accepted = [], duplicate = [], rejected = [] }) {
  const ids = rejected.map(({ turn_id }) => turn_id);
  return { kind: "kept", settled: new Set([...accepted, ...duplicate]), rejected: new Set(ids) };
}

/** @param {Response} response @returns {Promise<number>} 0 when the answer does not say */
async function retryAfterMs(response) {
  const seconds = Number(response.headers.get("Retry-After")); // hidden across origins unless exposed
  if (seconds > 0) return seconds * 1000;
  const problem = await response.json().catch(() => null);
  return Number(problem?.retry_after_ms) || 0;
}
