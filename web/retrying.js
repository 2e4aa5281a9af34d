const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 5_000;

/**
 * Tries until it works, the time is over, or the error says that trying again is of no use.
 * Waits 0.25 s, 0.5 s … 5 s, or as long as the error asks for, and no longer once the network is back.
 * @template T
 * @param {() => Promise<T>} attempt
 * @param {{withinMs: number, signal: AbortSignal, isPassing: (error: unknown) => boolean}} limits
 * @returns {Promise<T>} rejects with the last error
 */
export async function retrying(attempt, { withinMs, signal, isPassing }) {
  const untilMs = Date.now() + withinMs;
  for (let waitMs = FIRST_WAIT_MS; ; waitMs = Math.min(2 * waitMs, LONGEST_WAIT_MS)) {
    try {
      return await attempt();
    } catch (error) {
      if (signal.aborted || Date.now() > untilMs || !isPassing(error)) throw error;
      await waited(Math.min(Math.max(waitMs, asked(error)), untilMs - Date.now()), signal);
    }
  }
}

/** @param {any} error @returns {number} ms */
function asked(error) {
  return Number(error?.retryAfterMs) || 0;
}

/** @param {number} ms @param {AbortSignal} signal @returns {Promise<void>} */
function waited(ms, signal) {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
    addEventListener("online", () => resolve(), { once: true, signal });
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
