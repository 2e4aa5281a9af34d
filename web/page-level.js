import { all } from "./page-elements.js";

/** @typedef {import("./voice-session.js").VoiceSession} VoiceSession */

/** Everything that moves with the microphone: the orb, and the meter in the settings. */
export class Level {
  #session;
  #frame = 0;
  #shown = "";

  /** @param {VoiceSession} session */
  constructor(session) {
    this.#session = session;
  }

  /** Runs only while there is something to hear: a page at rest costs nothing. */
  follow() {
    const { state, hasMicrophone } = this.#session;
    const isHearing = hasMicrophone && (state === "listening" || state === "thinking" || state === "speaking");
    cancelAnimationFrame(this.#frame);
    if (isHearing) this.#frame = requestAnimationFrame(() => this.#beat());
    else this.#show(0);
  }

  #beat() {
    this.#show(this.#session.level);
    this.#frame = requestAnimationFrame(() => this.#beat());
  }

  /** @param {number} level */
  #show(level) {
    const shown = level.toFixed(2);
    if (shown === this.#shown) return;
    this.#shown = shown;
    for (const element of all(".hears")) element.style.setProperty("--level", shown);
  }
}
