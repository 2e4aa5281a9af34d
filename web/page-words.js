/** @typedef {import("./transcript-outbox.js").Saved} Saved */
/** @typedef {import("./voice-session.js").SessionState} SessionState */

/** How far a turn came on its way to memory. @type {Record<Saved, string>} */
export const SAVED_WORDS = {
  sending: "sending",
  saved: "kept",
  waiting: "will retry",
  refused: "could not be kept",
};

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

/**
 * Memory's own state, apart from the voice: a call goes on whatever it is.
 * @param {{isOn: boolean, isLate: boolean, facts: number, saved: Iterable<Saved>}} memory
 * @returns {{state: "on" | "delayed" | "off", text: string}}
 */
export function memoryWords({ isOn, isLate, facts, saved }) {
  const turns = [...saved];
  const waiting = turns.filter((value) => value === "waiting").length;
  const kept = turns.filter((value) => value === "saved").length;
  if (!isOn) return { state: "off", text: "Memory off" };
  if (waiting > 0) return { state: "delayed", text: `Memory delayed · ${waiting} will follow` };
  if (isLate) return { state: "delayed", text: "Memory delayed" };
  const counts = [facts > 0 && (facts === 1 ? "1 fact" : `${facts} facts`), kept > 0 && `${kept} kept`];
  return { state: "on", text: ["Memory on", ...counts.filter(Boolean)].join(" · ") };
}
