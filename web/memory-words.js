import { ProblemError } from "./broker.js";
import { counted } from "./page-words.js";

/** @typedef {import("./transcript-outbox.js").Saved} Saved */
/**
 * What is known of memory. isLate: it did not answer in time. kept: turns of this conversation. unsent: turns that wait in
 * this browser. isFull: the browser's storage takes no more, so they wait in the page alone.
 * @typedef {{isOn: boolean, isLate: boolean, isFull: boolean, facts: number, kept: number, unsent: number}} MemoryState
 */

/** How far a turn came on its way to memory. @type {Record<Saved, string>} */
export const SAVED_WORDS = {
  sending: "sending",
  saved: "kept",
  waiting: "will retry",
  refused: "could not be kept",
};

/**
 * Memory's own state, apart from the voice: a call goes on whatever it is.
 * @param {MemoryState} memory @returns {{state: "on" | "delayed" | "off", text: string}}
 */
export function memoryWords({ isOn, isLate, isFull, facts, kept, unsent }) {
  if (!isOn) return { state: "off", text: "Memory off" };
  if (unsent > 0) return { state: "delayed", text: `Memory delayed · ${unsent} unsent` };
  if (isLate || isFull) return { state: "delayed", text: "Memory delayed" };
  const counts = [facts > 0 && counted(facts, "fact"), kept > 0 && `${kept} kept`];
  return { state: "on", text: ["Memory on", ...counts.filter(Boolean)].join(" · ") };
}

/** The same as sentences, for who wants to know more. @param {MemoryState} memory */
export function memorySentence({ isOn, isLate, isFull, kept, unsent }) {
  if (!isOn) return "Memory is off here. Nothing you say is kept after the call.";
  if (isFull) return `Your browser's storage is full. ${waiting(unsent)} in this page: keep it open until they are sent.`;
  if (unsent > 0) return `Memory is delayed. ${waiting(unsent)} in this browser and will follow. Your call is not affected.`;
  if (isLate) return "Memory did not answer in time. What you say is kept all the same.";
  if (kept > 0) return `Memory is on. ${counted(kept, "turn")} of this conversation ${kept === 1 ? "is" : "are"} kept.`;
  return "Memory is on. What you say and hear is kept for your next conversation.";
}

/** @param {number} unsent */
function waiting(unsent) {
  return unsent === 1 ? "1 turn waits" : `${counted(unsent, "turn")} wait`;
}

/**
 * Memory tells an agent what a person said on a day; the person is told the same as a quotation.
 * @param {string} fact @returns {{when: string, text: string}}
 */
export function factWords(fact) {
  const quoted = /^(\d{4}-\d\d-\d\d): the person said "(.*)"$/s.exec(fact);
  if (!quoted?.[1] || !quoted[2]) return { when: "", text: fact };
  const day = new Date(`${quoted[1]}T00:00:00`);
  return { when: day.toLocaleDateString("en", { day: "numeric", month: "long", year: "numeric" }), text: `“${quoted[2]}”` };
}

export const FORGETTING = {
  conversation: {
    title: "Forget this conversation?",
    advice: "What was said in it is erased, wherever it was kept. That cannot be undone. A call in progress ends.",
    done: "This conversation is forgotten.",
  },
  everything: {
    title: "Forget everything about you?",
    advice: "All your conversations are erased, wherever they were kept. That cannot be undone. A call in progress ends.",
    done: "Everything about you is forgotten.",
  },
};

/** @param {string} done @param {boolean} isComplete */
export function forgottenWords(done, isComplete) {
  return isComplete ? done : `${done} Memory has still to confirm it, and will be asked until it does.`;
}

/** Why something was not forgotten, and what to do. @param {unknown} error */
export function wordsForForgetting(error) {
  const status = error instanceof ProblemError ? error.status : 0;
  if (status === 401) return "Not forgotten: you are signed out. Sign in again, then reload this page.";
  if (status === 403) return "Not forgotten: you may not erase this. Ask your operator.";
  return "Not forgotten yet: memory is out of reach. Try again in a moment.";
}
