/** @typedef {import("./transcript-assembler.js").Turn} Turn */
/**
 * What Enrichment did with the turns. `wait`: try again, not before `afterMs`. `expired`: the grant is no longer good.
 * `refused`: this session takes no more turns. `erased`: nor may anything of it be kept. `unreadable`: something in these turns is at fault.
 * @typedef {{kind: "kept", settled: Set<string>, rejected: Set<string>} | {kind: "wait", afterMs: number}
 *   | {kind: "expired" | "refused" | "erased" | "unreadable"}} Answer
 */

const ANSWER_DEADLINE_MS = 15_000;
const KEEPALIVE_BYTES = 48 * 1024; // browsers refuse more than 64 KiB in flight from a page that is being closed

/** @type {Record<number, "expired" | "refused" | "erased" | "unreadable">} any other status but 202 is worth another try */
const VERDICTS = { 401: "expired", 403: "refused", 410: "erased", 400: "unreadable", 413: "unreadable", 422: "unreadable" };

/**
 * Posts turns of one session, in their order. Never throws; sending a turn twice is harmless.
 * A plain-text body needs no preflight, so one packet is enough when the page is being closed.
 * @param {{url: string, grant: string, session_id: string, turns: Turn[]}} parcel
 * @returns {Promise<Answer>}
 */
export async function postTurns({ url, grant, session_id, turns }) {
  const body = JSON.stringify({ grant, session_id, turns });
  try {
    const response = await fetch(url, {
      method: "POST",
      headers: { "Content-Type": "text/plain;charset=UTF-8" },
      body,
      credentials: "omit",
      keepalive: byteLength(body) < KEEPALIVE_BYTES,
      signal: AbortSignal.timeout(ANSWER_DEADLINE_MS),
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
  const kind = VERDICTS[response.status];
  return kind ? { kind } : { kind: "wait", afterMs: await retryAfterMs(response) };
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
