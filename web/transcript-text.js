/** @typedef {{speaker: string | null, agentId: string, text: string, state: string}} Said */

/**
 * A conversation as a text file: who said what, in order.
 * @param {Said[]} lines @param {{nameOf: (agentId: string) => string, startedAt: Date | null}} about
 */
export function transcriptText(lines, { nameOf, startedAt }) {
  const heading = `Conversation${startedAt ? ` of ${startedAt.toLocaleString("en", { dateStyle: "long", timeStyle: "short" })}` : ""}`;
  const said = lines.map((line) => `${line.speaker === "user" ? "You" : nameOf(line.agentId)}: ${wordsOf(line)}`);
  return [heading, ...said].join("\n\n") + "\n";
}

/** @param {Said} line */
function wordsOf({ text, state }) {
  if (state === "unheard") return "(could not be transcribed)";
  return state === "interrupted" ? `${text} (interrupted)` : text;
}
