import { MicrophoneError } from "./microphone.js";
import { find, make, onPress, show, write } from "./page-elements.js";
import { Sheet } from "./page-sheet.js";
import { wordsFor } from "./problem-words.js";

/** @typedef {import("./audio-devices.js").Device} Device */
/** @typedef {import("./voice-session.js").VoiceSession} VoiceSession */

/** Which microphone and which speaker, what the keys do, and the way to the details of the call. */
export class Settings {
  #sheet = new Sheet("#settings");
  #session;

  /** @param {VoiceSession} session @param {{openDetails: () => void}} parts */
  constructor(session, { openDetails }) {
    this.#session = session;
    session.on("devices", () => void this.#showDevices());
    for (const button of ["#settings-open", "#unheard button"]) onPress(button, () => this.open());
    find("#microphone-choice").addEventListener("change", () => this.#use("#microphone-choice", (id) => session.useMicrophone(id)));
    find("#output-choice").addEventListener("change", () => this.#use("#output-choice", (id) => session.useSpeaker(id)));
    onPress("#details-open", () => {
      this.#sheet.close();
      openDetails();
    });
  }

  open() {
    this.#sheet.open();
    write("#devices-note", "");
    void this.#showDevices();
  }

  async #showDevices() {
    if (!this.#sheet.isOpen) return;
    const { microphones, speakers, microphoneId, speakerId } = await this.#session.devices();
    fill("#microphone-choice", microphones, microphoneId, "Microphone");
    fill("#output-choice", speakers, speakerId, "Speaker");
    show("#output-field", speakers.length > 0);
    const isNameless = microphones.every(({ label }) => label === "");
    show("#devices-nameless", isNameless);
  }

  /** @param {string} selector @param {(id: string) => Promise<void>} use */
  async #use(selector, use) {
    try {
      await use(find(selector).value);
      write("#devices-note", "");
    } catch (error) {
      const { title, advice } = wordsFor(error);
      write("#devices-note", error instanceof MicrophoneError ? `${title}. ${advice}` : "This device could not be used. Choose another.");
    }
    await this.#showDevices(); // which may still be the one of before
  }
}

/** @param {string} selector @param {Device[]} devices @param {string} chosenId @param {string} kind */
function fill(selector, devices, chosenId, kind) {
  const listed = devices.length > 0 ? devices : [{ id: "", label: "The browser’s choice" }];
  const options = listed.map(({ id, label }, index) => {
    const option = /** @type {HTMLOptionElement} */ (make("option", label || `${kind} ${index + 1}`));
    option.value = id;
    return option;
  });
  find(selector).replaceChildren(...options);
  find(selector).value = listed.some(({ id }) => id === chosenId) ? chosenId : listed[0]?.id;
}
