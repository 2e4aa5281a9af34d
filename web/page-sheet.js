import { find } from "./page-elements.js";

/** A dialog over the page. Its [data-close] buttons, Escape and a click beside it close it. */
export class Sheet {
  #dialog;

  /** @param {string} selector */
  constructor(selector) {
    this.#dialog = /** @type {HTMLDialogElement} */ (find(selector));
    this.#dialog.addEventListener("click", ({ target }) => {
      const element = /** @type {HTMLElement} */ (target);
      if (element === this.#dialog || element.closest("[data-close]")) this.#dialog.close();
    });
  }

  get isOpen() {
    return this.#dialog.open;
  }

  /** The browser gives the focus back to where it was when it closes. */
  open() {
    if (!this.#dialog.open) this.#dialog.showModal();
  }

  close() {
    this.#dialog.close();
  }

  /** @param {() => void} listener */
  onClose(listener) {
    this.#dialog.addEventListener("close", listener);
  }
}
