/**
 * How this page names its part of a trace, so that the services' logs and spans tell one story.
 * W3C Trace Context, https://www.w3.org/TR/trace-context/ (checked 2026-11-20).
 * @param {string} [traceId]  of what it goes on with; anything that is none begins a trace of its own
 */
export function traceparent(traceId = "") {
  const isOne = /^[0-9a-f]{32}$/.test(traceId) && !/^0+$/.test(traceId);
  return `00-${isOne ? traceId : randomHex(16)}-${randomHex(8)}-01`;
}

/** @param {number} bytes */
function randomHex(bytes) {
  const numbers = crypto.getRandomValues(new Uint8Array(bytes));
  return Array.from(numbers, (number) => number.toString(16).padStart(2, "0")).join("");
}
