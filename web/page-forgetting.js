import { FORGETTING, forgottenWords, wordsForForgetting } from "./memory-words.js";
import { enable, find, onPress, show, write } from "./page-elements.js";
import { Sheet } from "./page-sheet.js";
import { isInCall } from "./page-words.js";

/** @typedef {import("./broker.js").Broker} Broker */
/** @typedef {import("./broker.js").Certificate} Certificate */
/** @typedef {import("./broker.js").MemoryUrls} MemoryUrls */
/** @typedef {import("./voice-session.js").VoiceSession} VoiceSession */

/** Forgetting, asked for once more before it is done, and its result told. */
export class Forgetting {
  #sheet = new Sheet("#confirm");
  #session;
  #broker;
  #onForgotten;
  /** @type {MemoryUrls | null} */
  #urls = null;
  /** @type {keyof typeof FORGETTING} */
  #what = "conversation";
  #isDone = false;

  /** @param {VoiceSession} session @param {{broker: Broker, onForgotten: () => void}} parts */
  constructor(session, { broker, onForgotten }) {
    this.#session = session;
    this.#broker = broker;
    this.#onForgotten = onForgotten;
    for (const button of ["#end-forget", "#memory-forget"]) onPress(button, () => this.#ask("conversation"));
    onPress("#memory-forget-all", () => this.#ask("everything"));
    onPress("#confirm-forget", () => this.#forget());
    this.#sheet.onClose(() => {
      // Who asked may be gone with what is forgotten, and the focus with it.
      if (this.#isDone) (find("dialog[open] [data-close]") ?? find("#start")).focus();
    });
  }

  /** @param {MemoryUrls | null} urls */
  know(urls) {
    this.#urls = urls;
    show("#end-forget", urls !== null);
  }

  /** There is nothing to forget before the first word. */
  showIfPossible() {
    enable("#memory-forget", this.#session.sessionId !== null);
  }

  /** @param {keyof typeof FORGETTING} what */
  #ask(what) {
    this.#what = what;
    write("#confirm-title", FORGETTING[what].title);
    write("#confirm-advice", FORGETTING[what].advice);
    this.#tell("", "ask");
    this.#sheet.open();
  }

  async #forget() {
    const what = this.#what;
    find("#confirm-keep").focus(); // the other button goes away
    this.#tell("Forgetting …", "busy");
    if (isInCall(this.#session.state)) this.#session.end();
    try {
      const { complete } = await this.#erase(what);
      this.#session.startAnew();
      this.#onForgotten();
      this.#tell(forgottenWords(FORGETTING[what].done, complete), "done");
    } catch (error) {
      this.#tell(wordsForForgetting(error), "ask");
    }
  }

  /** @param {keyof typeof FORGETTING} what @returns {Promise<Certificate>} */
  #erase(what) {
    const { episodes_url, person_url } = /** @type {MemoryUrls} */ (this.#urls);
    if (what === "everything") return this.#broker.forgetMe(person_url);
    return this.#broker.forgetSession(episodes_url, /** @type {string} */ (this.#session.sessionId));
  }

  /** @param {string} told @param {"ask" | "busy" | "done"} step */
  #tell(told, step) {
    this.#isDone = step === "done";
    write("#confirm-told", told);
    show("#confirm-advice", step !== "done");
    show("#confirm-forget", step !== "done");
    enable("#confirm-forget", step !== "busy");
    write("#confirm-keep", step === "ask" ? "Keep it" : "Close");
  }
}
