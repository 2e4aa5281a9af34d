import { traceparent } from "./traceparent.js";

/** @typedef {import("./leg.js").Leg} Leg */
/** @typedef {import("./transcript-assembler.js").Turn} Turn */
/** @typedef {import("./transcript-outbox.js").Route} Route */
/** @typedef {import("./transcript-outbox.js").TranscriptOutbox} TranscriptOutbox */

/** Hands what was said to the outbox, in the order of the conversation across its calls. */
export class HandingOn {
  #outbox;
  /** @type {Map<string, string>} session id -> the last turn that was handed on */
  #lastTurnIds = new Map();

  /** @param {TranscriptOutbox} outbox */
  constructor(outbox) {
    this.#outbox = outbox;
  }

  /** Finished turns: those of a call when all calls before it are over, for words are written down late.
   * @param {Leg[]} legs  first to last */
  turnsOf(legs) {
    for (const leg of legs) {
      this.#add(leg);
      if (!leg.isOver) return;
    }
  }

  /** What would be lost if the browser died now. @param {Leg[]} legs */
  draftsOf(legs) {
    for (const leg of legs.filter(({ isOver }) => !isOver)) {
      const route = routeOf(leg);
      if (route) for (const turn of leg.drafts()) this.#outbox.keepPartial(route, this.#linked(leg, turn));
    }
  }

  /** @param {Leg} leg */
  #add(leg) {
    const route = routeOf(leg);
    const [first, ...rest] = leg.takeTurns();
    if (!route || !first) return;
    void this.#outbox.add(route, [this.#linked(leg, first), ...rest]);
    this.#lastTurnIds.set(route.session_id, (rest.at(-1) ?? first).turn_id);
  }

  /** The first turn of a call follows the last of the call before. @param {Leg} leg @param {Turn} turn */
  #linked({ pass }, turn) {
    return { ...turn, previous_turn_id: turn.previous_turn_id ?? this.#lastTurnIds.get(pass.session_id) ?? null };
  }
}

/** @param {Leg} leg @returns {Route | null} null: there is no memory */
function routeOf({ pass: { enrichment, session_id, trace_id } }) {
  const carried = trace_id ? { traceparent: traceparent(trace_id) } : {};
  return enrichment && { url: enrichment.url, grant: enrichment.grant, session_id, ...carried };
}
