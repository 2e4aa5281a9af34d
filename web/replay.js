/** @typedef {import("./transcript-assembler.js").Line} Line */
/** @typedef {import("./transcript-assembler.js").Written} Written */

const MOST_LINES = 20;
const MOST_CHARACTERS = 6_000;

/**
 * What the next call is told of the calls before it: the last lines whose words are known, oldest first. Pure.
 * As text, because Azure takes no audio of the past.
 * @param {Line[]} lines @returns {Written[]}
 */
export function historyOf(lines) {
  const known = lines.filter(({ text, state }) => text !== "" && state !== "unheard").slice(-MOST_LINES);
  let characters = 0;
  const first = known.findLastIndex(({ text }) => (characters += text.length) > MOST_CHARACTERS);
  const told = known.slice(Math.min(first + 1, known.length - 1)); // the last line in any case, as much as fits of it
  return told.map(({ turnId, speaker, text }) => ({ id: turnId, speaker, text: text.slice(-MOST_CHARACTERS) }));
}

/** @param {Written} written @returns {{type: string, [key: string]: any}} the event that puts it into a conversation */
export function itemOf({ id, speaker, text }) {
  const type = speaker === "user" ? "input_text" : "output_text";
  return { type: "conversation.item.create", item: { id, type: "message", role: speaker, content: [{ type, text }] } };
}

/** @param {string} name @returns {{type: string, [key: string]: any}} so that an agent does not take another's words for its own */
export function noteOf(name) {
  const text = `The answers above were given by ${name}, another assistant. You go on from here.`;
  return { type: "conversation.item.create", item: { type: "message", role: "system", content: [{ type: "input_text", text }] } };
}

/** Whether somebody waits for an answer, or was cut off in one. @param {Line[]} lines */
export function isAnswerOwed(lines) {
  const last = lines.findLast(({ text, speaker, state }) => text !== "" || (speaker === "user" && state === "unheard"));
  return last !== undefined && last.text !== "" && (last.speaker === "user" || last.state === "interrupted");
}
