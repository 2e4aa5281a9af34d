const FIRST_MS = 1_000;
const LAST_MS = 5 * 60_000;
const EARLY_MS = 20; // timers fire a moment early, and who comes then must not be sent away

/** How long to leave something alone that failed: 1 s, 2 s, 4 s … 5 min, up to half less by chance, or as long as it asks for. */
export class BackOff {
  #failures = 0;
  #untilMs = 0;
  #askedUntilMs = 0;

  /** @param {number} [askedMs]  how much time the other side asks for */
  failed(askedMs = 0) {
    const longestMs = Math.min(FIRST_MS * 2 ** this.#failures++, LAST_MS);
    this.#untilMs = Date.now() + longestMs * (0.5 + Math.random() / 2); // all pages of a room must not come back at once
    this.#askedUntilMs = Date.now() + askedMs;
  }

  succeeded() {
    this.#failures = this.#untilMs = this.#askedUntilMs = 0;
  }

  /** Somebody looks, or the network is back: try now, unless the other side asked for time. */
  reset() {
    this.#failures = this.#untilMs = 0;
  }

  get leftMs() {
    const leftMs = Math.max(this.#untilMs - Date.now(), this.askedMs);
    return leftMs > EARLY_MS ? leftMs : 0;
  }

  /** What is left of the time that the other side asked for. */
  get askedMs() {
    return Math.max(0, this.#askedUntilMs - Date.now());
  }
}
