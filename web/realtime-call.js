import { aborted } from "./aborted.js";
import { TypedEvents } from "./typed-events.js";

/**
 * Why a call is over, or never began.
 * `blocked`: Azure answered, and then not one packet came through: the network lets no call out.
 * @typedef {"hung-up" | "refused" | "unreachable" | "timed-out" | "blocked" | "lost"} EndReason
 */
/** @typedef {"idle" | "connecting" | "live" | "ended"} CallState */
/** @typedef {{token: string, calls_url: string, ice_servers?: RTCIceServer[]}} CallToken  what a call needs of the broker's answer */
/** @typedef {{sdpMs: number | null, connectMs: number | null}} CallTimes  since `start()`; null: not yet */
/** @typedef {{rttMs: number | null, jitterMs: number | null, lossPercent: number | null, path: string | null}} CallStats */
/** @typedef {{type: string, [key: string]: any}} RealtimeEvent */
/** @typedef {{state: CallState, event: RealtimeEvent, ended: EndReason, silenced: void, deafened: void}} CallEvents */

const CONNECT_DEADLINE_MS = 15_000;
const DISCONNECT_GRACE_MS = 5_000; // most interruptions of a mobile network heal within this time

/** A call that could not be made; `reason` says why in one word. */
export class CallError extends Error {
  /** @param {EndReason} reason @param {string} message @param {ErrorOptions & {status?: number}} [options]  status: Azure's */
  constructor(reason, message, { status = 0, ...options } = {}) {
    super(message, options);
    this.reason = reason;
    this.status = status;
  }
}

/**
 * One call between this browser and Azure OpenAI Realtime over WebRTC. The one module that touches WebRTC.
 *
 * Used once: idle → connecting → live → ended, never back; another call needs another token and another object.
 * Takes ownership of the microphone and stops it on every way to `ended`.
 * On hold it neither hears the person nor is heard, until it is picked up: so one call can follow another without a gap.
 * Emits "event" for what the model says, "silenced" when the browser refuses to play sound without a tap,
 * "deafened" when the microphone is unplugged or its permission taken back.
 * @extends {TypedEvents<CallEvents>}
 */
export class RealtimeCall extends TypedEvents {
  /** @type {CallState} */
  #state = "idle";
  #ending = new AbortController();
  #peer;
  #channel;
  #token;
  /** @type {MediaStream | null} */
  #microphone = null;
  #speaker;
  /** @type {MediaStream | null} what the other side says */
  #voice = null;
  #isMuted = false;
  #isOnHold;
  #grace = 0;
  #startedMs = 0;
  /** @type {CallTimes} */
  #times = { sdpMs: null, connectMs: null };

  /**
   * @param {CallToken} token
   * @param {{microphone: MediaStream | null, speaker: HTMLAudioElement, onHold?: boolean}} media  without a microphone the call
   *   only listens
   */
  constructor(token, { microphone, speaker, onHold = false }) {
    super();
    this.#token = token;
    this.#speaker = speaker;
    this.#isOnHold = onHold;
    this.#peer = new RTCPeerConnection({ iceServers: token.ice_servers ?? [] }); // Azure needs none, some networks do
    this.#channel = this.#peer.createDataChannel("realtime-channel"); // before the offer, or the offer has no place for it
    if (microphone) this.#own(microphone);
    const { signal } = this.#ending;
    this.#peer.addEventListener("track", (event) => this.#hear(event), { signal });
    this.#peer.addEventListener("connectionstatechange", () => this.#onConnection(), { signal });
    this.#channel.addEventListener("message", ({ data }) => this.#read(data), { signal });
    this.#channel.addEventListener("close", () => this.#finish("lost"), { signal });
  }

  get state() {
    return this.#state;
  }

  /** Resolves when both sides can speak. Otherwise ends the call and rejects with a `CallError`. */
  async start() {
    if (this.#state !== "idle") throw new Error(`cannot start a call that is ${this.#state}`);
    this.#become("connecting");
    this.#startedMs = performance.now();
    const deadline = AbortSignal.any([this.#ending.signal, AbortSignal.timeout(CONNECT_DEADLINE_MS)]);
    try {
      await Promise.race([this.#connect(deadline), aborted(deadline)]);
    } catch (error) {
      const failure = this.#asCallError(error);
      this.#finish(failure.reason);
      throw failure;
    }
    this.#times.connectMs = performance.now() - this.#startedMs;
    this.#become("live");
  }

  get times() {
    return { ...this.#times };
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
    this.#isMuted = muted;
    this.#openOrClose();
  }

  /** Ends being on hold. */
  pickUp() {
    this.#isOnHold = false;
    this.#openOrClose();
    this.#play();
  }

  /** Another microphone in the same call; the one before is stopped. A call that is over stops it too.
   * @param {MediaStream} microphone */
  async changeMicrophone(microphone) {
    const before = this.#microphone;
    this.#own(microphone);
    stop(before);
    if (this.#state === "ended") return stop(microphone);
    const sender = this.#peer.getSenders().find(({ track }) => track?.kind === "audio");
    await sender?.replaceTrack(microphone.getAudioTracks()[0] ?? null).catch(() => {}); // the call ended meanwhile
  }

  /** How the connection does, as far as the browser knows. @returns {Promise<CallStats>} */
  async stats() {
    return summaryOf(/** @type {any[]} */ ([...(await this.#peer.getStats()).values()]));
  }

  /** Microphone and sound off for good. The channel stays open: what is being written down may still come. */
  hush() {
    stop(this.#microphone);
    if (this.#speaker.srcObject === this.#voice) this.#speaker.srcObject = null; // not the voice of the call that followed
  }

  /** @param {MediaStream} microphone */
  #own(microphone) {
    this.#microphone = microphone;
    this.#openOrClose();
    for (const track of microphone.getTracks()) {
      track.addEventListener("ended", () => this.emit("deafened", undefined), { signal: this.#ending.signal });
    }
  }

  #openOrClose() {
    for (const track of this.#microphone?.getAudioTracks() ?? []) track.enabled = !this.#isMuted && !this.#isOnHold;
  }

  /** @param {AbortSignal} signal */
  async #connect(signal) {
    this.#offerAudio();
    await this.#peer.setLocalDescription();
    const sdp = await this.#exchange(this.#peer.localDescription?.sdp ?? "", signal);
    this.#times.sdpMs = performance.now() - this.#startedMs;
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
    const { ok, status } = response;
    if (!ok) throw new CallError("refused", `Azure refused the call with HTTP ${status}`, { status });
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
  #hear({ streams, track }) {
    this.#voice = streams[0] ?? new MediaStream([track]);
    if (!this.#isOnHold) this.#play();
  }

  #play() {
    this.#speaker.srcObject = this.#voice;
    this.#speaker.play().catch((error) => {
      if (error.name === "NotAllowedError") this.emit("silenced", undefined);
    });
  }

  /** @param {string} data */
  #read(data) {
    const event = parsed(data);
    if (typeof event?.type === "string") this.emit("event", event);
  }

  #onConnection() {
    clearTimeout(this.#grace);
    const lost = () => this.#finish(this.#state === "connecting" ? "blocked" : "lost");
    if (this.#peer.connectionState === "failed") lost();
    if (this.#peer.connectionState !== "disconnected") return;
    this.#grace = setTimeout(lost, DISCONNECT_GRACE_MS);
  }

  /** @param {any} error @returns {CallError} */
  #asCallError(error) {
    if (error instanceof CallError) return error;
    if (error.name !== "TimeoutError") return new CallError("unreachable", "Azure could not be reached", { cause: error });
    const hasAnswer = this.#peer.remoteDescription !== null;
    return new CallError(hasAnswer ? "blocked" : "timed-out", "The call did not connect in time", { cause: error });
  }

  /** @param {EndReason} reason */
  #finish(reason) {
    if (this.#state === "ended") return;
    clearTimeout(this.#grace);
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

/** @param {MediaStream | null} stream */
function stop(stream) {
  for (const track of stream?.getTracks() ?? []) track.stop();
}

/** @param {string} data @returns {any} undefined: no JSON */
function parsed(data) {
  try {
    return JSON.parse(data);
  } catch {
    return undefined;
  }
}

/** @param {any[]} stats @returns {CallStats} */
function summaryOf(stats) {
  const pair = stats.find(({ type, nominated, state }) => type === "candidate-pair" && nominated && state === "succeeded");
  const heard = stats.find(({ type, kind }) => type === "inbound-rtp" && kind === "audio");
  const remote = stats.find(({ id }) => id === pair?.remoteCandidateId);
  const arrived = (heard?.packetsReceived ?? 0) + (heard?.packetsLost ?? 0);
  return {
    rttMs: milliseconds(pair?.currentRoundTripTime),
    jitterMs: milliseconds(heard?.jitter),
    lossPercent: arrived > 0 ? (100 * heard.packetsLost) / arrived : null,
    path: remote ? `${remote.protocol} ${remote.candidateType}` : null,
  };
}

/** @param {number | undefined} seconds */
function milliseconds(seconds) {
  return seconds === undefined ? null : seconds * 1000;
}
