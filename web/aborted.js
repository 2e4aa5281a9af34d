/**
 * Rejects with the signal's reason once it aborts; for racing work that cannot be cancelled.
 * @param {AbortSignal} signal @returns {Promise<never>}
 */
export function aborted(signal) {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}
