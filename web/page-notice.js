import { write } from "./page-elements.js";

const READING_MS = 8_000;

/** Says what happened, once and quietly: to the eye for a moment, to a screen reader when it is next silent. */
export class Notice {
  #fading = 0;

  /** @param {string} text */
  tell(text) {
    write("#told", text);
    clearTimeout(this.#fading);
    this.#fading = setTimeout(() => write("#told", ""), READING_MS);
  }
}
