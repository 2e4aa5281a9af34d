import { enable, find, onPress, show, write } from "./page-elements.js";

/** A problem as cause, advice, and one more try, which counts down when the service asked for time. */
export class ProblemCard {
  /** @type {() => void} what "Try again" does */
  #again = () => {};
  #countdown = 0;
  #latest;

  /** @param {import("./page-scroll.js").LatestInSight} latest */
  constructor(latest) {
    this.#latest = latest;
    onPress("#retry", () => {
      find("#start").focus({ preventScroll: true }); // this button goes away with its problem
      this.#again();
    });
  }

  /** @param {import("./problem-words.js").Words} words @param {() => void} again */
  show({ title, advice, retryAfterMs }, again) {
    this.#again = again;
    write("#problem h2", title);
    write("#problem p", advice);
    show("#problem", true);
    this.#latest.toEnd();
    this.#countDown(Date.now() + retryAfterMs);
  }

  clear() {
    clearInterval(this.#countdown);
    show("#problem", false);
  }

  /** @param {number} untilMs */
  #countDown(untilMs) {
    const tick = () => {
      const seconds = Math.ceil((untilMs - Date.now()) / 1000);
      enable("#retry", seconds <= 0);
      write("#retry", seconds > 0 ? `Try again in ${seconds} s` : "Try again");
      if (seconds <= 0) clearInterval(this.#countdown);
    };
    clearInterval(this.#countdown);
    this.#countdown = setInterval(tick, 250);
    tick();
  }
}
