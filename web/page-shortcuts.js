import { find } from "./page-elements.js";

/** @typedef {{mute: () => void, stopTalking: () => void, help: () => void}} Acts */

/** Keys for what one wants quickly while speaking. Letters can be switched off: dictation software types them. */
export class Shortcuts {
  #acts;

  /** @param {Acts} acts */
  constructor(acts) {
    this.#acts = acts;
    addEventListener("keydown", (event) => this.#press(event));
  }

  /** @param {KeyboardEvent} event */
  #press(event) {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || isSheetOpen()) return;
    if (event.key === "Escape") return this.#acts.stopTalking();
    if (isTyping(event.target) || !find("#letters").checked) return;
    if (event.key === "m" || event.key === "M") return this.#acts.mute();
    if (event.key !== "/" && event.key !== "?") return;
    event.preventDefault(); // or the key would be written, or search the page
    if (event.key === "?") this.#acts.help();
    else find("#text").focus();
  }
}

/** Escape is then for the sheet. */
function isSheetOpen() {
  return find("dialog[open]") !== null;
}

/** @param {EventTarget | null} target */
function isTyping(target) {
  return target instanceof Element && target.closest("input, select, textarea") !== null;
}
