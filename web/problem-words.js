import { ProblemError } from "./broker.js";
import { MicrophoneError } from "./microphone.js";
import { CallError } from "./realtime-call.js";

/** @typedef {{title: string, advice: string, retryAfterMs: number}} Words */

/** @type {Record<import("./microphone.js").MicrophoneWord, [title: string, advice: string]>} */
const MICROPHONE = {
  blocked: ["Your microphone is blocked", "Allow it with the icon beside the address, then try again. Writing works too."],
  missing: ["No microphone found", "Connect one and try again, or write your message below."],
  busy: ["Your microphone is in use", "Close the other program that uses it, then try again. Writing works too."],
  gone: ["Your microphone went away", "Connect it and try again, or write your message below."],
  insecure: ["This page cannot use a microphone", "Open it with https:// in its address, or write your message below."],
};

/** @type {Record<import("./realtime-call.js").EndReason | "time-up", [title: string, advice: string]>} */
const CALL = {
  "hung-up": ["The call ended", "Start again whenever you like."],
  refused: ["The call was not accepted", "Its pass may have run out. Try again with a new one."],
  unreachable: ["The voice service is out of reach", "Check your connection, then try again."],
  "timed-out": ["The call did not connect", "Your connection may be slow. Try again."],
  blocked: ["Your network blocks calls", "They need UDP or TCP port 3478. Try another network, or ask who runs this one."],
  "time-up": ["The call reached its time limit", "Start again to go on from here."],
  lost: ["The connection was lost", "What was said up to now is kept. Start again to go on."],
};

/**
 * What to tell a person about an error: its cause, and what to do. Never an upstream's text.
 * @param {unknown} error @returns {Words}
 */
export function wordsFor(error) {
  if (error instanceof MicrophoneError) return words(MICROPHONE[error.word]);
  if (error instanceof CallError) return words(CALL[error.reason]);
  if (error instanceof ProblemError) return words(brokerWords(error), error.retryAfterMs);
  return words(["Something went wrong on this page", "Reload it, then try again."]);
}

/** @param {import("./microphone.js").MicrophoneWord} word @returns {Words} */
export function wordsForMicrophone(word) {
  return words(MICROPHONE[word]);
}

/** @param {import("./realtime-call.js").EndReason | "time-up"} reason @returns {Words} */
export function wordsForEnd(reason) {
  return words(CALL[reason]);
}

/** @param {ProblemError} problem @returns {[title: string, advice: string]} */
function brokerWords({ status, retryable, traceId }) {
  const trace = traceId && ` If it stays, tell your operator: ${traceId}.`;
  if (status === 0) return ["No answer from the server", "Check your connection, then try again."];
  if (status === 401) return ["You are signed out", "Sign in again, then reload this page."];
  if (status === 403) return ["You may not call here", "Ask your operator for access."];
  if (status === 429) return ["That was one call too many", "Wait a moment, then try again."];
  if (retryable) return ["No voice service is free right now", `This usually passes quickly.${trace}`];
  return ["Calls cannot be made right now", `The service refused to prepare a call.${trace}`];
}

/** @param {[title: string, advice: string]} pair @param {number} [retryAfterMs] @returns {Words} */
function words([title, advice], retryAfterMs = 0) {
  return { title, advice, retryAfterMs };
}
