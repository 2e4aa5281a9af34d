import { find, onPress, show, write } from "./page-elements.js";
import { hintFor, isInCall, startWord, timeLeftWords } from "./page-words.js";

/** @typedef {import("./broker.js").Agent} Agent */
/** @typedef {import("./voice-session.js").VoiceSession} VoiceSession */

/** Who speaks, what one can do about it, and how much time is left. */
export class VoicePanel {
  #session;
  /** @type {Agent} */
  #agent = { id: "", name: "Agent" };

  /** @param {VoiceSession} session */
  constructor(session) {
    this.#session = session;
    session.on("silenced", () => show("#hear", true));
    session.on("unheard", (isUnheard) => this.#showUnheard(isUnheard));
    onPress("#mute", () => this.toggleMute());
    onPress("#stop-talking", () => session.stopTalking());
    onPress("#hear", () => find("#speaker").play().then(() => show("#hear", false), () => {}));
    setInterval(() => this.#showTimeLeft(), 1_000);
  }

  /** @param {Agent} agent who is there */
  show(agent = this.#agent) {
    this.#agent = agent;
    const { state, hasMicrophone, isMuted } = this.#session;
    const isLive = isInCall(state) && state !== "connecting";
    document.body.dataset.state = find("#state").dataset.state = state;
    write("#state", state);
    write("#hint", hintFor(state, agent, hasMicrophone));
    write("#start", startWord(state));
    show("#mute", isLive && hasMicrophone);
    find("#mute").setAttribute("aria-pressed", String(isMuted));
    show("#stop-talking", isLive);
    // Not `disabled`: that would take the focus from who has just pressed it.
    find("#stop-talking").setAttribute("aria-disabled", String(state !== "speaking" && state !== "thinking"));
    if (!isInCall(state)) show("#hear", false);
    if (!isLive || isMuted || state === "reconnecting") this.#showUnheard(false);
    this.#showTimeLeft();
  }

  toggleMute() {
    if (find("#mute").hidden) return;
    this.#session.setMuted(!this.#session.isMuted);
    this.show();
  }

  /** @param {boolean} isUnheard */
  #showUnheard(isUnheard) {
    write("#unheard p", isUnheard ? "We can’t hear you. Is it the right microphone?" : "");
    show("#unheard button", isUnheard);
  }

  #showTimeLeft() {
    const { state, callEndsAtMs } = this.#session;
    const words = isInCall(state) ? timeLeftWords(callEndsAtMs - Date.now()) : null;
    write("#left", words?.text ?? "");
    find("#left").dataset.isWarning = String(words?.isWarning ?? false);
  }
}
