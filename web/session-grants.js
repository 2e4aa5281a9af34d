import { personOf } from "./waiting-turn.js";
import { within } from "./within.js";

/** @typedef {{url: string, session_id: string, grant: string, traceparent?: string}} Route  where the turns of a session go, and the call they are of */
/** @typedef {(sessionId: string) => Promise<{url: string, grant: string} | null>} Renew  null: there is none for this session */

const RENEW_DEADLINE_MS = 30_000;

/** The grants of this page, in memory only, and whose they are. */
export class SessionGrants {
  #renew;
  /** @type {Map<string, Route>} session id -> its newest grant */
  #routes = new Map();
  /** @type {Map<string, string>} session id -> the grant that came with its newest call */
  #given = new Map();
  /** @type {string | null} who is signed in, as the newest grant says */
  person = null;

  /** @param {Renew} renew */
  constructor(renew) {
    this.#renew = renew;
  }

  /** A call goes on with the grant it began with, which must not replace one that was renewed since. @param {Route} route
   * @returns {string} whose it is */
  learn(route) {
    if (this.#given.get(route.session_id) !== route.grant) this.#routes.set(route.session_id, route);
    this.#given.set(route.session_id, route.grant);
    return (this.person = personOf(route.grant));
  }

  /** The grant of whoever is signed in, if this page has it. @param {string} sessionId @returns {Route | null} */
  known(sessionId) {
    const route = this.#routes.get(sessionId);
    return route && personOf(route.grant) === this.person ? route : null;
  }

  /** @param {string} sessionId @returns {Promise<Route | null>} never rejects */
  async renew(sessionId) {
    const renewed = await within(RENEW_DEADLINE_MS, this.#renew(sessionId)).catch(() => null);
    if (!renewed?.grant) return null;
    const route = { url: renewed.url, grant: renewed.grant, session_id: sessionId };
    this.#routes.set(sessionId, route);
    this.person = personOf(route.grant);
    return route;
  }

  forget() {
    this.#routes.clear();
    this.#given.clear();
    this.person = null;
  }
}
