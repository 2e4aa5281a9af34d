import { aborted } from "./aborted.js";
import { TypedEvents } from "./typed-events.js";

/**
 * Why a call is over, or never began.
 * @typedef {"hung-up" | "refused" | "unreachable" | "timed-out" | "lost"} EndReason
 */
/** @typedef {"idle" | "connecting" | "live" | "ended"} CallState */
/** @typedef {{token: string, calls_url: string}} CallToken  what a call needs of the broker's answer */
/** @typedef {{type: string, [key: string]: any}} RealtimeEvent */
/** @typedef {{state: CallState, event: RealtimeEvent, ended: EndReason, silenced: void, deafened: void}} CallEvents */

const CONNECT_DEADLINE_MS = 15_000;
const DISCONNECT_GRACE_MS = 5_000; // most interruptions of a mobile network heal within this time

/** A call that could not be made; `reason` says why in one word. */
export class CallError extends Error {
  /** @param {EndReason} reason @param {string} message @param {ErrorOptions} [options] */
  constructor(reason, message, options) {
    super(message, options);
    this.reason = reason;
  }
}

/**
 * One call between this browser and Azure OpenAI Realtime over WebRTC. The one module that touches WebRTC.
 *
 * Used once: idle → connecting → live → ended, never back; another call needs another token and another object.
 * Takes ownership of the microphone and stops it on every way to `ended`.
 * Emits "event" for what the model says, "silenced" when the browser refuses to play sound without a tap,
 * "deafened" when the microphone is unplugged or its permission taken back.
 * @extends {TypedEvents<CallEvents>}
 */
export class RealtimeCall extends TypedEvents {
  /** @type {CallState} */
  #state = "idle";
  #ending = new AbortController();
  #peer = new RTCPeerConnection();
  #channel = this.#peer.createDataChannel("realtime-channel"); // before the offer, or the offer has no place for it
  #token;
  #microphone;
  #speaker;

  /**
   * @param {CallToken} token
   * @param {{microphone: MediaStream | null, speaker: HTMLAudioElement}} media  without a microphone the call only listens
   */
  constructor(token, { microphone, speaker }) {
    super();
    this.#token = token;
    this.#microphone = microphone;
    this.#speaker = speaker;
    const { signal } = this.#ending;
    for (const track of microphone?.getTracks() ?? []) {
      track.addEventListener("ended", () => this.emit("deafened", undefined), { signal });
    }
    this.#peer.addEventListener("track", (event) => this.#play(event), { signal });
    this.#peer.addEventListener("connectionstatechange", () => this.#onConnection(), { signal });
    this.#channel.addEventListener("message", ({ data }) => this.emit("event", JSON.parse(data)), { signal });
    this.#channel.addEventListener("close", () => this.#finish("lost"), { signal });
  }

  get state() {
    return this.#state;
  }

  /** Resolves when both sides can speak. Otherwise ends the call and rejects with a `CallError`. */
  async start() {
    if (this.#state !== "idle") throw new Error(`cannot start a call that is ${this.#state}`);
    this.#become("connecting");
    const deadline = AbortSignal.any([this.#ending.signal, AbortSignal.timeout(CONNECT_DEADLINE_MS)]);
    try {
      await Promise.race([this.#connect(deadline), aborted(deadline)]);
    } catch (error) {
      const failure = asCallError(error);
      this.#finish(failure.reason);
      throw failure;
    }
    this.#become("live");
  }

  end() {
    this.#finish("hung-up");
  }

  /** @param {RealtimeEvent} event  dropped when the channel is not open */
  send(event) {
    if (this.#channel.readyState === "open") this.#channel.send(JSON.stringify(event));
  }

  /** @param {boolean} muted  a muted microphone sends silence, which the model needs to notice the end of a turn */
  setMuted(muted) {
    for (const track of this.#microphone?.getAudioTracks() ?? []) track.enabled = !muted;
  }

  /** Microphone and sound off for good. The channel stays open: what is being written down may still come. */
  hush() {
    for (const track of this.#microphone?.getTracks() ?? []) track.stop();
    this.#speaker.srcObject = null;
  }

  /** @param {AbortSignal} signal */
  async #connect(signal) {
    this.#offerAudio();
    await this.#peer.setLocalDescription();
    const sdp = await this.#exchange(this.#peer.localDescription?.sdp ?? "", signal);
    await this.#peer.setRemoteDescription({ type: "answer", sdp });
    await this.#opened(signal);
  }

  #offerAudio() {
    const [track] = this.#microphone?.getAudioTracks() ?? [];
    if (track && this.#microphone) this.#peer.addTrack(track, this.#microphone);
    else this.#peer.addTransceiver("audio", { direction: "recvonly" });
  }

  /** @param {string} offer @param {AbortSignal} signal @returns {Promise<string>} the answer, both SDP */
  async #exchange(offer, signal) {
    const headers = { Authorization: `Bearer ${this.#token.token}`, "Content-Type": "application/sdp" };
    const response = await fetch(this.#token.calls_url, { method: "POST", headers, body: offer, signal });
    // An error is JSON; given to setRemoteDescription it would read as a broken SDP and hide its cause.
    if (!response.ok) throw new CallError("refused", `Azure refused the call with HTTP ${response.status}`);
    return response.text();
  }

  /** @param {AbortSignal} signal @returns {Promise<void>} */
  #opened(signal) {
    return new Promise((resolve) => {
      const check = () => {
        if (this.#channel.readyState === "open" && this.#peer.connectionState === "connected") resolve();
      };
      this.#channel.addEventListener("open", check, { signal });
      this.#peer.addEventListener("connectionstatechange", check, { signal });
      check();
    });
  }

  /** @param {RTCTrackEvent} event */
  #play({ streams, track }) {
    this.#speaker.srcObject = streams[0] ?? new MediaStream([track]);
    this.#speaker.play().catch((error) => {
      if (error.name === "NotAllowedError") this.emit("silenced", undefined);
    });
  }

  #onConnection() {
    const lost = () => this.#finish("lost");
    if (this.#peer.connectionState === "failed") lost();
    if (this.#peer.connectionState !== "disconnected") return;
    setTimeout(() => this.#peer.connectionState === "disconnected" && lost(), DISCONNECT_GRACE_MS);
  }

  /** @param {EndReason} reason */
  #finish(reason) {
    if (this.#state === "ended") return;
    this.#ending.abort(new CallError(reason, `The call ended: ${reason}`));
    this.hush();
    this.#channel.close();
    this.#peer.close();
    this.#become("ended");
    this.emit("ended", reason);
  }

  /** @param {CallState} state */
  #become(state) {
    this.#state = state;
    this.emit("state", state);
  }
}

/** @param {any} error @returns {CallError} */
function asCallError(error) {
  if (error instanceof CallError) return error;
  if (error.name === "TimeoutError") return new CallError("timed-out", "The call did not connect in time", { cause: error });
  return new CallError("unreachable", "Azure could not be reached", { cause: error });
}
