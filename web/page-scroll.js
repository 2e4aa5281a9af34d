import { find, onPress, show } from "./page-elements.js";

const NEAR_THE_END_PX = 160;

/** Keeps the newest words in sight of who reads along, and leaves alone who reads what was said before. */
export class LatestInSight {
  constructor() {
    addEventListener("scroll", () => this.#offer(), { passive: true });
    addEventListener("resize", () => this.#offer(), { passive: true });
    onPress("#latest", () => {
      const byKeyboard = find("#latest").matches(":focus-visible");
      this.toEnd();
      if (byKeyboard) find("#text").focus({ preventScroll: true }); // this button goes away
    });
  }

  /** @param {() => void} change that makes the page longer */
  keep(change) {
    const wasAtEnd = isAtEnd();
    const { scrollHeight } = document.documentElement;
    change();
    if (wasAtEnd && scrollHeight !== document.documentElement.scrollHeight) this.toEnd();
    this.#offer();
  }

  toEnd() {
    if (find(".conversation").offsetHeight > 0) scrollTo({ top: document.documentElement.scrollHeight });
    this.#offer();
  }

  #offer() {
    show("#latest", !isAtEnd() && find("#transcript li, #earlier li") !== null);
  }
}

function isAtEnd() {
  const { scrollHeight, scrollTop, clientHeight } = document.documentElement;
  return scrollHeight - scrollTop - clientHeight < NEAR_THE_END_PX;
}
