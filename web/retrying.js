const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 8_000;

/**
 * Tries until it works, the time is over, or the error says that trying again is of no use.
 * Waits 0.5 s, 1 s … 8 s, and no longer once the network is back; but as long as the error asks for in any case.
 * @template T
 * @param {() => Promise<T>} attempt
 * @param {{withinMs: number, signal: AbortSignal, isPassing: (error: unknown) => boolean}} limits
 * @returns {Promise<T>} rejects with the last error
 */
export async function retrying(attempt, { withinMs, signal, isPassing }) {
  const untilMs = Date.now() + withinMs;
  for (let waitMs = FIRST_WAIT_MS, isLast = false; ; waitMs = Math.min(2 * waitMs, LONGEST_WAIT_MS)) {
    try {
      return await attempt();
    } catch (error) {
      const leftMs = untilMs - Date.now();
      const askedMs = asked(error);
      if (signal.aborted || isLast || leftMs < askedMs || !isPassing(error)) throw error;
      isLast = Math.max(waitMs, askedMs) >= leftMs;
      await waited(askedMs, signal);
      await waited(Math.min(waitMs, leftMs) - askedMs, signal, "online");
    }
  }
}

/** @param {any} error @returns {number} ms */
function asked(error) {
  return Number(error?.retryAfterMs) || 0;
}

/** @param {number} ms @param {AbortSignal} signal @param {string} [wakened]  an event that ends the waiting @returns {Promise<void>} */
export function waited(ms, signal, wakened) {
  return new Promise((resolve) => {
    setTimeout(resolve, Math.max(0, ms));
    if (wakened) addEventListener(wakened, () => resolve(), { once: true, signal });
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
