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
  return known.slice(first + 1).map(({ turnId, speaker, text }) => ({ id: turnId, speaker, text }));
}

/** @param {Written} written @returns {{type: string, [key: string]: any}} the event that puts it into a conversation */
export function itemOf({ id, speaker, text }) {
  const type = speaker === "user" ? "input_text" : "output_text";
  return { type: "conversation.item.create", item: { id, type: "message", role: speaker, content: [{ type, text }] } };
}
