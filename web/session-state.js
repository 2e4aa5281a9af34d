/** @typedef {"ready" | "connecting" | "listening" | "thinking" | "speaking" | "muted" | "reconnecting" | "ended"} SessionState */

/** @type {Record<string, SessionState>} GA names first, then the older; the last two groups pass no filter */
const STATE_AFTER = {
  "input_audio_buffer.speech_started": "listening",
  "input_audio_buffer.speech_stopped": "thinking",
  "output_audio_buffer.started": "speaking",
  "output_audio_buffer.stopped": "listening",
  "response.output_text.done": "listening",
  "response.text.done": "listening",
  "output_audio_buffer.cleared": "listening",
  "response.created": "thinking",
};

/** @type {Partial<Record<SessionState, number>>} Azure hides answers that fail or are cleared; believe a state so long */
const PATIENCE_MS = { thinking: 20_000, speaking: 10_000 };

/**
 * What an event of Azure says about who speaks now. Pure.
 * @param {SessionState} state @param {{type: string, [key: string]: any}} event @returns {SessionState | null} null: nothing
 */
export function stateAfter(state, event) {
  if (event.type === "response.done") return hasFailed(event) && state === "thinking" ? "listening" : null;
  if (event.type === "response.created" && state === "speaking") return null; // the answer before it still sounds
  const next = STATE_AFTER[event.type] ?? null;
  const isSoundOver = event.type.startsWith("output_audio_buffer.") && next === "listening";
  return isSoundOver && state !== "speaking" ? null : next; // somebody spoke over it meanwhile
}

/** @param {SessionState} state @returns {number} how long nothing need be heard before it is no longer believed, in ms */
export function patienceMs(state) {
  return PATIENCE_MS[state] ?? Infinity;
}

/** @param {{[key: string]: any}} event */
function hasFailed({ response }) {
  return ["failed", "incomplete", "cancelled"].includes(response?.status);
}
