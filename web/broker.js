import { aborted } from "./aborted.js";
import { traceparent } from "./traceparent.js";

/** @typedef {{id: string, name: string, role?: string, voice?: string}} Agent */
/** @typedef {{url: string, grant: string, expires_at: number}} EnrichmentRoute */
/**
 * The broker's answer: everything one call needs. No address of Azure is made in the browser.
 * @typedef {{token: string, calls_url: string, session_id: string, agent: Agent, greeting: boolean, call_ends_at?: number, call_lasts_s?: number,
 *   model?: string, strategy?: string, trace_id?: string, ice_servers?: RTCIceServer[], session_update: {type: string, [key: string]: any} | null, enrichment: EnrichmentRoute | null,
 *   memory: {status: "hit" | "miss" | "timeout" | "off", facts: number}}} CallPass
 */
/** @typedef {{url: string, episodes_url: string, context_url: string, person_url: string}} MemoryUrls */
/** @typedef {{agents: Agent[], default_agent: string, enrichment: MemoryUrls | null}} Agents */
/** @typedef {{turn_id: string, role: "user" | "assistant", content: string, agent_id?: string, spoken_at: string,
 *   delivered: boolean, interrupted?: boolean}} PastTurn */
/** @typedef {{certificate: string, erased: "session" | "everything", erased_at: string, complete: boolean}} Certificate
 *   of what is gone from the service; complete: memory too has confirmed it, else it will */

const ANSWER_DEADLINE_MS = 20_000;

/** An answer that is a problem document (RFC 9457), or no answer at all (status 0). Decide by its fields, never by text. */
export class ProblemError extends Error {
  /** @param {number} status @param {Record<string, any>} [problem] @param {ErrorOptions} [options] */
  constructor(status, problem = {}, options) {
    super(problem.title ?? `HTTP ${status}`, options);
    this.type = String(problem.type ?? "about:blank");
    this.title = this.message;
    this.status = status;
    this.retryable = Boolean(problem.retryable ?? (status === 0 || status >= 500));
    this.retryAfterMs = Number(problem.retry_after_ms) || 0;
    this.traceId = String(problem.trace_id ?? "");
  }
}

/**
 * The broker, and what Enrichment gives back to the person: every request of ours but the posts of turns.
 * Requests reject with a `ProblemError`, and end after 20 s.
 */
export class Broker {
  #baseUrl;
  #accessToken;

  /**
   * @param {{baseUrl?: string, accessToken?: () => Promise<string | null>}} [options]  baseUrl: of the broker, when it is not
   *   where the page comes from. accessToken: who calls, as an Entra ID access token; asked for before every request
   */
  constructor({ baseUrl = "", accessToken = async () => null } = {}) {
    this.#baseUrl = baseUrl.replace(/\/$/, "");
    this.#accessToken = accessToken;
  }

  /** Ask only when the microphone is open: the token lives about a minute, a permission prompt may take longer.
   * @param {{agentId: string, sessionId: string | null, signal?: AbortSignal}} wish @returns {Promise<CallPass>} */
  async requestToken({ agentId, sessionId, signal }) {
    const wish = { ...(agentId && { agent_id: agentId }), ...(sessionId && { session_id: sessionId }) };
    const asking = post(wish, signal);
    const headers = { ...asking.headers, traceparent: traceparent() };
    const response = await this.#fetch(`${this.#baseUrl}/realtime/token`, { ...asking, headers });
    const pass = await response.json().catch((error) => {
      throw new ProblemError(0, { title: "No answer" }, { cause: error });
    });
    return { ...pass, trace_id: response.headers.get("X-Trace-Id") ?? "" };
  }

  /** A new grant for turns that still wait. @param {string} sessionId @returns {Promise<EnrichmentRoute | null>} null: there is no memory */
  async renewGrant(sessionId) {
    try {
      return (await this.#ask(`${this.#baseUrl}/realtime/grant`, post({ session_id: sessionId }))).enrichment;
    } catch (error) {
      if (error instanceof ProblemError && error.status === 404) return null;
      throw error;
    }
  }

  /** @returns {Promise<Agents>} */
  listAgents() {
    return this.#ask(`${this.#baseUrl}/agents`);
  }

  /**
   * @param {string} baseUrl @param {string} sessionId
   * @returns {Promise<PastTurn[]>} what memory holds of the session; nothing when it does not know it
   */
  async readEpisode(baseUrl, sessionId) {
    try {
      return (await this.#ask(`${baseUrl}/${encodeURIComponent(sessionId)}`)).transcript;
    } catch (error) {
      if (error instanceof ProblemError && error.status === 404) return [];
      throw error;
    }
  }

  /**
   * @param {string} contextUrl @param {string | null} sessionId  with one: also what matters to that conversation
   * @returns {Promise<string[]>} what is remembered about the person, newest first
   */
  async readMemory(contextUrl, sessionId) {
    const query = sessionId ? `?session_id=${encodeURIComponent(sessionId)}` : "";
    return (await this.#ask(`${contextUrl}${query}`)).facts;
  }

  /** For good, wherever it was stored. @param {string} episodesUrl @param {string} sessionId @returns {Promise<Certificate>} */
  forgetSession(episodesUrl, sessionId) {
    return this.#ask(`${episodesUrl}/${encodeURIComponent(sessionId)}`, { method: "DELETE" });
  }

  /** Everything of the person, for good. @param {string} personUrl @returns {Promise<Certificate>} */
  forgetMe(personUrl) {
    return this.#ask(personUrl, { method: "DELETE" });
  }

  /** @param {string} url @param {RequestInit} [request] @returns {Promise<any>} */
  async #ask(url, request) {
    return (await this.#fetch(url, request)).json();
  }

  /** @param {string} url @param {RequestInit} [request] @returns {Promise<Response>} */
  async #fetch(url, request = {}) {
    const deadline = AbortSignal.timeout(ANSWER_DEADLINE_MS);
    const signal = request.signal ? AbortSignal.any([request.signal, deadline]) : deadline;
    const unanswered = (/** @type {unknown} */ error) => {
      throw new ProblemError(0, { title: "No answer" }, { cause: error });
    };
    const token = await Promise.race([this.#accessToken(), aborted(signal)]).catch(unanswered);
    const headers = { ...request.headers, ...(token && { Authorization: `Bearer ${token}` }) };
    const response = await fetch(url, { ...request, headers, signal }).catch(unanswered);
    if (!response.ok) throw new ProblemError(response.status, await response.json().catch(() => undefined));
    return response;
  }
}

/** @param {object} body @param {AbortSignal} [signal] @returns {RequestInit} */
function post(body, signal) {
  return { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body), signal };
}
