import { byteLength } from "./enrichment.js";

/** @typedef {import("./transcript-assembler.js").Turn} Turn */
/**
 * A turn that waits. sub: whose it is. tab: the page that heard it. partial: that page still hears it. order: grows with every
 * turn that this browser hears, whatever its clock does. No grant and no token is ever stored with it.
 * @typedef {{id: string, sub: string, session_id: string, turn: Turn, order: number, stored_at: number, tab: string, partial: boolean}} Row
 */

const MOST_TURNS = 30;
const MOST_BYTES = 40 * 1024; // leaves room for the grant under the limit of a post that survives the page

/** @param {string} sub @param {string} sessionId @param {Turn} turn  one row a turn: the whole turn replaces what was heard of it */
export function idOf(sub, sessionId, { turn_id }) {
  return [sub, sessionId, turn_id].join("\n");
}

/**
 * Whose memory a grant writes to. Nobody proves it here: it only decides what is not sent.
 * @param {string} grant  a JWT
 */
export function personOf(grant) {
  try {
    const payload = String(grant.split(".")[1]).replaceAll("-", "+").replaceAll("_", "/");
    return String(JSON.parse(atob(payload)).sub);
  } catch {
    return "";
  }
}

/** @param {any} row  of version 1 of the database, which stored the grant too @returns {Row} */
export function fromVersion1({ key, session_id, grant, turn, stored_at }) {
  const sub = personOf(grant);
  return { id: idOf(sub, session_id, turn), sub, session_id, turn, order: key, stored_at, tab: "", partial: false };
}

/** @param {Row[]} rows  of one session, oldest first @param {number} [mostBytes] @returns {Row[]} as many of the first as fit into one post */
export function parcelOf(rows, mostBytes = MOST_BYTES) {
  let bytes = 0;
  const fits = (/** @type {Row} */ row) => (bytes += byteLength(JSON.stringify(row.turn))) <= mostBytes;
  const tooMany = rows.slice(0, MOST_TURNS).findIndex((row, index) => !fits(row) && index > 0);
  return rows.slice(0, tooMany < 0 ? MOST_TURNS : tooMany);
}
