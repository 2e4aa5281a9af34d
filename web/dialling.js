import { Leg } from "./leg.js";
import { CallError, RealtimeCall } from "./realtime-call.js";

/** @typedef {import("./broker.js").Broker} Broker */
/** @typedef {import("./broker.js").CallPass} CallPass */
/** @typedef {import("./ears.js").Ears} Ears */
/**
 * `onHold`: neither hears nor is heard until it is picked up. `onPass`: told what the broker answered, before the call is made.
 * `made`: told of the call before it is connected.
 * @typedef {{agentId: string, sessionId: string | null, isMuted: boolean, onHold: boolean, signal: AbortSignal,
 *   onPass: (pass: CallPass) => void, made: (leg: Leg) => void}} Wish
 */

/** Makes calls: asks the broker for a token, then Azure for the call. */
export class Dialling {
  #broker;
  #ears;
  #speaker;

  /** @param {{broker: Broker, ears: Ears, speaker: HTMLAudioElement}} parts */
  constructor({ broker, ears, speaker }) {
    this.#broker = broker;
    this.#ears = ears;
    this.#speaker = speaker;
  }

  /** A call in which both sides can speak. With a second token when Azure refuses the first: it ran out on the way.
   * @param {Wish} wish @returns {Promise<Leg>} */
  dial(wish) {
    return this.#dialOnce(wish).catch((error) => {
      if (error instanceof CallError && error.status === 401) return this.#dialOnce(wish);
      throw error;
    });
  }

  /** @param {Wish} wish @returns {Promise<Leg>} */
  async #dialOnce({ agentId, sessionId, isMuted, onHold, signal, onPass, made }) {
    const askedMs = performance.now();
    const pass = await this.#broker.requestToken({ agentId, sessionId, signal });
    signal.throwIfAborted();
    const microphone = this.#ears.current;
    const leg = new Leg(pass, this.#callOf(pass, onHold), performance.now() - askedMs);
    leg.call.setMuted(isMuted); // before anything of the person can be sent
    made(leg);
    onPass(pass);
    await leg.call.start();
    const changed = this.#ears.current === microphone ? null : this.#ears.copy();
    if (changed) await leg.call.changeMicrophone(changed);
    return leg;
  }

  /** @param {CallPass} pass @param {boolean} onHold */
  #callOf(pass, onHold) {
    const microphone = this.#ears.copy();
    try {
      return new RealtimeCall(pass, { microphone, speaker: this.#speaker, onHold });
    } catch (error) {
      for (const track of microphone?.getTracks() ?? []) track.stop(); // no call took it
      throw error;
    }
  }
}
