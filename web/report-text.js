/** @typedef {import("./voice-session.js").Report} Report */

/**
 * A call in figures, each with its name and unit.
 * @param {Report} report @returns {[name: string, value: string][]}
 */
export function measuresOf(report) {
  return [
    ["State", report.state],
    ["Trace id", report.traceId || "–"],
    ["Session", report.sessionId ?? "–"],
    ["Strategy", report.strategy || "–"],
    ["Model", report.model || "–"],
    ["Calls", String(report.calls)],
    ["Token minted in", inUnit(report.mintMs, "ms")],
    ["SDP answered in", inUnit(report.sdpMs, "ms")],
    ["Connected after", inUnit(report.connectMs, "ms")],
    ["First audio after", inUnit(report.firstAudioMs, "ms")],
    ["Round trip", inUnit(report.rttMs, "ms")],
    ["Jitter", inUnit(report.jitterMs, "ms")],
    ["Loss", inUnit(report.lossPercent, "%", 1)],
    ["Path", report.path ?? "–"],
  ];
}

/** The same with the events, to send to somebody. @param {Report} report */
export function reportText(report) {
  const measures = measuresOf(report).map(([name, value]) => `${name}: ${value}`);
  const events = report.events.map(({ at, type }) => `${at} ${type}`);
  return [...measures, "", ...events].join("\n");
}

/** @param {number | null} value @param {string} unit @param {number} [digits] */
function inUnit(value, unit, digits = 0) {
  return value === null ? "–" : `${value.toFixed(digits)} ${unit}`;
}
