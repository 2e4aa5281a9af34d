import { enable, find, make, onPress, show, write } from "./page-elements.js";
import { counted, durationWords } from "./page-words.js";
import { transcriptText } from "./transcript-text.js";

/** @typedef {import("./page-memory.js").MemoryMark} MemoryMark */
/** @typedef {import("./page-transcript.js").TranscriptLog} TranscriptLog */
/** @typedef {import("./voice-session.js").VoiceSession} VoiceSession */

/** After a call: what it came to, and what can be done with it. */
export class EndCard {
  #session;
  #log;
  #memory;
  #nameOf;
  #latest;

  /**
   * @param {VoiceSession} session
   * @param {{log: TranscriptLog, memory: MemoryMark, latest: import("./page-scroll.js").LatestInSight,
   *   nameOf: (agentId: string) => string, onAnew: () => void}} parts
   */
  constructor(session, { log, memory, latest, nameOf, onAnew }) {
    this.#session = session;
    this.#log = log;
    this.#memory = memory;
    this.#nameOf = nameOf;
    this.#latest = latest;
    onPress("#end-download", () => this.#download());
    onPress("#end-anew", () => {
      session.startAnew();
      onAnew();
      find("#start").focus({ preventScroll: true }); // this button goes away
    });
  }

  show() {
    const isOver = this.#session.state === "ended" && this.#log.lines.length > 0;
    const isNew = isOver && find("#end-card").hidden;
    show("#end-card", isOver);
    if (!isOver) return;
    write("#end-title", `Your conversation with ${this.#names()}`);
    write("#end-facts", [this.#duration(), this.#remembered()].filter(Boolean).join(" · "));
    enable("#end-forget", this.#session.sessionId !== null);
    if (isNew) this.#latest.toEnd();
  }

  /** Of all who said something. */
  #names() {
    const ids = this.#log.lines.filter(({ speaker }) => speaker === "assistant").map(({ agentId }) => agentId);
    return [...new Set(ids.length > 0 ? ids : [this.#session.agentId])].map(this.#nameOf).join(" and ");
  }

  #duration() {
    const { spokenForMs } = this.#session;
    return spokenForMs > 0 ? durationWords(spokenForMs) : "";
  }

  #remembered() {
    if (!this.#memory.isOn) return "memory is off";
    const { unsent } = this.#memory;
    return `${counted(this.#log.kept, "turn")} remembered${unsent > 0 ? `, ${unsent} will follow` : ""}`;
  }

  #download() {
    const { startedAtMs } = this.#session;
    const startedAt = startedAtMs === null ? null : new Date(startedAtMs);
    const text = transcriptText(this.#log.lines, { nameOf: this.#nameOf, startedAt });
    const url = URL.createObjectURL(new Blob([text], { type: "text/plain;charset=utf-8" }));
    const link = /** @type {HTMLAnchorElement} */ (make("a"));
    Object.assign(link, { href: url, download: "conversation.txt" });
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 1_000); // at once would be before the browser has read it
  }
}
