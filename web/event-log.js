/** @typedef {import("./leg.js").Leg} Leg */
/** @typedef {import("./realtime-call.js").CallStats} CallStats */
/** @typedef {import("./session-state.js").SessionState} SessionState */
/**
 * What an operator wants to know of a call; no secret, no word that was said. Times in ms, null: not (yet) known.
 * @typedef {CallStats & {state: SessionState, sessionId: string | null, traceId: string, strategy: string, model: string,
 *   calls: number, mintMs: number | null, sdpMs: number | null, connectMs: number | null, firstAudioMs: number | null,
 *   events: {at: string, type: string}[]}} Report
 */

const MOST_EVENTS = 200;
/** @type {CallStats} */
const NO_STATS = { rttMs: null, jitterMs: null, lossPercent: null, path: null };

/** The last events of a session by name, and how long a call took to come about. */
export class EventLog {
  /** @type {{at: string, type: string}[]} */
  #events = [];
  #beganMs = 0;
  /** @type {number | null} */
  #connectMs = null;
  /** @type {number | null} */
  #firstAudioMs = null;

  /** Somebody wants a call. */
  begin() {
    this.#beganMs = performance.now();
    this.#connectMs = this.#firstAudioMs = null;
  }

  /** It is there. */
  entered() {
    this.#connectMs ??= performance.now() - this.#beganMs;
  }

  /** @param {string} type */
  add(type) {
    this.#events.push({ at: new Date().toISOString(), type });
    if (this.#events.length > MOST_EVENTS) this.#events.shift();
    if (type === "output_audio_buffer.started") this.#firstAudioMs ??= performance.now() - this.#beganMs;
  }

  /**
   * @param {{state: SessionState, sessionId: string | null, calls: number, leg?: Leg, stats?: CallStats}} now
   * @returns {Report}
   */
  report({ leg, stats = NO_STATS, ...now }) {
    return {
      ...now,
      ...stats,
      traceId: leg?.pass.trace_id ?? "",
      strategy: leg?.pass.strategy ?? "",
      model: leg?.pass.model ?? "",
      mintMs: leg?.mintMs ?? null,
      sdpMs: leg?.call.times.sdpMs ?? null,
      connectMs: this.#connectMs,
      firstAudioMs: this.#firstAudioMs,
      events: [...this.#events],
    };
  }
}
