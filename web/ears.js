import { Microphone, MicrophoneError } from "./microphone.js";
import { TypedEvents } from "./typed-events.js";

/** @typedef {{changed: void, gone: void, unheard: boolean}} EarsEvents */

/**
 * The person's microphone for as long as a conversation lasts, whichever device it is.
 * Emits "changed" when another one is open in its place, "gone" when there is none any more, "unheard" as a `Microphone` does.
 * @extends {TypedEvents<EarsEvents>}
 */
export class Ears extends TypedEvents {
  /** @type {Microphone | null} */
  #microphone = null;
  #chosenId = "";

  /** Which device, as far as the browser says. */
  get deviceId() {
    return this.#microphone?.deviceId || this.#chosenId;
  }

  /** How loud it is now, 0 to 1. */
  get level() {
    return this.#microphone?.level ?? 0;
  }

  /** Which one it is: another after every change. */
  get current() {
    return this.#microphone;
  }

  /** Rejects with a `MicrophoneError`. @param {AbortSignal} signal */
  async open(signal) {
    const opened = await this.#openChosen();
    if (signal.aborted) opened.close();
    signal.throwIfAborted();
    this.#own(opened);
  }

  /** From now on; at once when one is open. Rejects with a `MicrophoneError`, and then nothing changed.
   * @param {string} id  empty: the browser's choice */
  async choose(id) {
    const before = this.#microphone;
    if (!before) {
      this.#chosenId = id;
      return;
    }
    const opened = await Microphone.open(id);
    if (this.#microphone !== before) return opened.close(); // the call ended, or another was chosen since
    this.#chosenId = id;
    this.#own(opened);
    this.emit("changed", undefined);
  }

  /** @returns {MediaStream | null} for one call */
  copy() {
    return this.#microphone?.copy() ?? null;
  }

  /** Whether nobody means to be heard now. @param {boolean} isExcused */
  excuse(isExcused) {
    this.#microphone?.excuse(isExcused);
  }

  close() {
    if (this.#microphone?.isUnheard) this.emit("unheard", false);
    this.#microphone?.close();
    this.#microphone = null;
  }

  /** A device that was chosen once may be unplugged since. */
  async #openChosen() {
    try {
      return await Microphone.open(this.#chosenId);
    } catch (error) {
      if (!this.#chosenId || !(error instanceof MicrophoneError) || error.word !== "missing") throw error;
      this.#chosenId = "";
      return Microphone.open();
    }
  }

  /** @param {Microphone} microphone */
  #own(microphone) {
    this.close();
    this.#microphone = microphone;
    microphone.on("unheard", (isUnheard) => this.emit("unheard", isUnheard));
    microphone.on("gone", () => void this.#replace(microphone));
  }

  /** @param {Microphone} gone */
  async #replace(gone) {
    await this.choose("").catch(() => this.#microphone === gone && this.emit("gone", undefined));
  }
}
