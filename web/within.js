/**
 * Waits no longer than that for work that cannot be cancelled.
 * @template Value @param {number} ms @param {Promise<Value>} work @returns {Promise<Value>} rejects when it takes longer
 */
export function within(ms, work) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no answer within ${ms} ms`)), ms);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
