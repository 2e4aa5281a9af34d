/** @typedef {"blocked" | "missing" | "busy" | "insecure" | "gone"} MicrophoneWord */

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

/** Asks for the microphone. The caller of this function owns the stream until a call takes it. */
export async function openMicrophone() {
  if (!navigator.mediaDevices) throw new MicrophoneError("insecure"); // the page came without TLS
  try {
    const audio = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };
    return await navigator.mediaDevices.getUserMedia({ audio });
  } catch (error) {
    throw new MicrophoneError(MICROPHONE_WORDS[/** @type {Error} */ (error).name] ?? "blocked", { cause: error });
  }
}
