import { TypedEvents } from "./typed-events.js";

/** @typedef {"blocked" | "missing" | "busy" | "insecure" | "gone"} MicrophoneWord */
/** @typedef {{gone: void, unheard: boolean}} MicrophoneEvents */

const LISTEN_EVERY_MS = 200;
const UNHEARD_AFTER_MS = 4_000;
const SILENCE = 0.001; // amplitude; a live microphone is never this quiet for long, an unplugged or wrong one is

/** @type {Record<string, MicrophoneWord>} the name of what getUserMedia threw -> our word */
const MICROPHONE_WORDS = {
  NotAllowedError: "blocked",
  NotFoundError: "missing",
  OverconstrainedError: "missing",
  NotReadableError: "busy",
  AbortError: "busy",
  SecurityError: "insecure",
};

/** No microphone; `word` says why. */
export class MicrophoneError extends Error {
  /** @param {MicrophoneWord} word @param {ErrorOptions} [options] */
  constructor(word, options) {
    super(`The microphone is ${word}`, options);
    this.word = word;
  }
}

/**
 * Asks for a microphone; the caller owns the stream. Rejects with a `MicrophoneError`.
 * @param {string} [deviceId]  empty: the one the browser prefers
 */
export async function openMicrophone(deviceId = "") {
  if (!navigator.mediaDevices) throw new MicrophoneError("insecure"); // the page came without TLS
  const audio = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };
  const wish = deviceId ? { ...audio, deviceId: { exact: deviceId } } : audio;
  try {
    return await navigator.mediaDevices.getUserMedia({ audio: wish });
  } catch (error) {
    throw new MicrophoneError(MICROPHONE_WORDS[/** @type {Error} */ (error).name] ?? "blocked", { cause: error });
  }
}

/**
 * An open microphone that outlives a call: each call gets a copy, which it may stop.
 * Emits "gone" when it is unplugged or its permission taken back, "unheard" (true) when nothing at all was heard of it
 * for 4 s since it was opened or the system muted it, and (false) with the first sound after that.
 * @extends {TypedEvents<MicrophoneEvents>}
 */
export class Microphone extends TypedEvents {
  #stream;
  /** @type {AnalyserNode | null | undefined} made when it is first needed, so that no call waits for it; null: it cannot be */
  #analyser;
  #samples = new Float32Array(2048);
  #clock = 0;
  #silentSinceMs = Date.now();
  #isUnheard = false;
  #isExcused = false;
  #wasHeard = false;

  /** @param {string} [deviceId] @returns {Promise<Microphone>} */
  static async open(deviceId) {
    return new Microphone(await openMicrophone(deviceId));
  }

  /** @param {MediaStream} stream  from now on its own */
  constructor(stream) {
    super();
    this.#stream = stream;
    this.#clock = setInterval(() => this.#listen(), LISTEN_EVERY_MS);
    for (const track of stream.getTracks()) {
      track.addEventListener("ended", () => this.emit("gone", undefined));
      track.addEventListener("mute", () => this.#tell(true));
      track.addEventListener("unmute", () => this.#tell(false));
    }
  }

  /** Which device it is, empty where the browser does not say. */
  get deviceId() {
    return this.#stream.getAudioTracks()[0]?.getSettings().deviceId ?? "";
  }

  /** How loud it is now, 0 to 1. */
  get level() {
    if (this.#analyser === undefined) this.#analyser = meterOf(this.#stream);
    this.#analyser?.getFloatTimeDomainData(this.#samples);
    return Math.min(1, this.#samples.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0));
  }

  /** @returns {MediaStream} for one call */
  copy() {
    return this.#stream.clone();
  }

  /** Nobody means to be heard now: silence says nothing about the device. @param {boolean} isExcused */
  excuse(isExcused) {
    this.#isExcused = isExcused;
    this.#silentSinceMs = Date.now();
  }

  get isUnheard() {
    return this.#isUnheard;
  }

  close() {
    clearInterval(this.#clock);
    for (const track of this.#stream.getTracks()) track.stop(); // a track that we stop does not say "ended"
    void /** @type {AudioContext | undefined} */ (this.#analyser?.context)?.close();
  }

  #listen() {
    if (this.#wasHeard) return;
    if (this.level > SILENCE) {
      this.#wasHeard = true; // later silence is a person who says nothing, behind a filter for noise
      this.#tell(false);
    } else if (this.#isExcused || !this.#isMeterRunning()) this.#silentSinceMs = Date.now();
    else if (Date.now() - this.#silentSinceMs > UNHEARD_AFTER_MS) this.#tell(true);
  }

  /** A browser may stop what measures: before the first gesture, or while the phone rings. */
  #isMeterRunning() {
    const context = /** @type {AudioContext | undefined} */ (this.#analyser?.context);
    if (context?.state !== "running") void context?.resume().catch(() => {});
    return context?.state === "running";
  }

  /** @param {boolean} isUnheard */
  #tell(isUnheard) {
    if (isUnheard === this.#isUnheard) return;
    this.#isUnheard = isUnheard;
    this.emit("unheard", isUnheard);
  }
}

/** @param {MediaStream} stream @returns {AnalyserNode | null} */
function meterOf(stream) {
  const context = new AudioContext();
  try {
    const analyser = context.createAnalyser();
    context.createMediaStreamSource(stream).connect(analyser);
    return analyser;
  } catch {
    void context.close(); // some browsers measure no stream of another sample rate: the call goes on without
    return null;
  }
}
