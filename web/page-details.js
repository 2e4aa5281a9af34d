import { find, make, onPress, show, write } from "./page-elements.js";
import { measuresOf, reportText } from "./report-text.js";

/** @typedef {import("./voice-session.js").VoiceSession} VoiceSession */

const FRESH_MS = 1_000;

/** What an operator wants to know of a call; hidden until somebody asks for it. */
export class CallDetails {
  #session;
  #refreshing = 0;

  /** @param {VoiceSession} session */
  constructor(session) {
    this.#session = session;
    onPress("#details-close", () => this.close());
    onPress("#details-copy", () => this.#copy());
    find("#details").addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
      if (event.key !== "Escape") return;
      event.preventDefault(); // in here it is not for the agent who talks
      this.close();
    });
  }

  open() {
    show("#details", true);
    write("#details-told", "");
    find("#details-close").focus();
    clearInterval(this.#refreshing);
    this.#refreshing = setInterval(() => this.#show(), FRESH_MS);
    void this.#show();
  }

  close() {
    clearInterval(this.#refreshing);
    show("#details", false);
    find("#settings-open").focus();
  }

  async #show() {
    const report = await this.#session.report();
    find("#measures").replaceChildren(...measuresOf(report).map(measureEntry));
    find("#events").replaceChildren(...report.events.map(({ at, type }) => make("li", `${at} ${type}`)));
    show("#events", report.events.length > 0);
  }

  async #copy() {
    const copied = navigator.clipboard.writeText(reportText(await this.#session.report()));
    const told = await copied.then(() => "Copied.", () => "Your browser did not allow it. Select the text above instead.");
    write("#details-told", told);
  }
}

/** @param {[name: string, value: string]} measure */
function measureEntry([name, value]) {
  const entry = make("div");
  entry.append(make("dt", name), make("dd", value));
  return entry;
}
