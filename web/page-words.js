/** @typedef {import("./voice-session.js").MoveReason} MoveReason */
/** @typedef {import("./voice-session.js").SessionState} SessionState */

const MINUTE_MS = 60_000;
const TIME_LEFT_SHOWN_MS = 5 * MINUTE_MS;

/** @param {SessionState} state */
export function isInCall(state) {
  return state !== "ready" && state !== "ended";
}

/** What the big button does. @param {SessionState} state */
export function startWord(state) {
  if (isInCall(state)) return "End";
  return state === "ended" ? "Start again" : "Start";
}

/**
 * What one can do now, in a few words.
 * @param {SessionState} state @param {{name: string, role?: string}} agent @param {boolean} hasMicrophone
 */
export function hintFor(state, { name, role = "" }, hasMicrophone) {
  const hints = {
    ready: role,
    connecting: hasMicrophone ? "Your browser may ask for the microphone." : "Your message is on its way.",
    listening: hasMicrophone ? "Speak whenever you like." : "Write below. Your microphone is off.",
    thinking: `${name} is about to answer.`,
    speaking: "Interrupt whenever you like.",
    muted: `${name} cannot hear you.`,
    reconnecting: "The connection broke. It is being restored.",
    ended: "Start again to go on from here.",
  };
  return hints[state];
}

/** Why a conversation goes on in another call. @param {MoveReason} why @param {string} name of who speaks now */
export function movedWords(why, name) {
  const words = {
    agent: `You are now talking with ${name}.`,
    loss: `You are connected again. ${name} knows what was said.`,
    limit: `A new call has begun, and ${name} knows what was said.`,
  };
  return words[why];
}

/**
 * Nothing as long as there is plenty.
 * @param {number} leftMs @returns {{text: string, isWarning: boolean} | null}
 */
export function timeLeftWords(leftMs) {
  if (leftMs <= 0 || leftMs > TIME_LEFT_SHOWN_MS) return null;
  const minutes = Math.ceil(leftMs / MINUTE_MS);
  if (minutes > 1) return { text: `${minutes} minutes left`, isWarning: false };
  return { text: "Less than a minute left", isWarning: true };
}

/** @param {number} ms */
export function durationWords(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  const minutes = Math.floor(seconds / 60);
  return minutes === 0 ? `${seconds} s` : `${minutes} min ${seconds % 60} s`;
}

/** @param {number} count @param {string} thing */
export function counted(count, thing) {
  return `${count} ${thing}${count === 1 ? "" : "s"}`;
}
