/**
 * The library: what a page of your own imports. Nothing happens before a `VoiceSession` starts, so a server may import it too.
 *
 * `VoiceSession` joins the other parts and is mostly all one needs; each also works alone.
 */
export { Broker, ProblemError } from "./broker.js";
export { MicrophoneError, openMicrophone } from "./microphone.js";
export { wordsFor, wordsForEnd, wordsForMicrophone } from "./problem-words.js";
export { CallError, RealtimeCall } from "./realtime-call.js";
export { TranscriptAssembler } from "./transcript-assembler.js";
export { TranscriptOutbox } from "./transcript-outbox.js";
export { VoiceSession } from "./voice-session.js";

/** @typedef {import("./broker.js").Agent} Agent */
/** @typedef {import("./broker.js").Agents} Agents */
/** @typedef {import("./broker.js").CallPass} CallPass */
/** @typedef {import("./broker.js").EnrichmentRoute} EnrichmentRoute */
/** @typedef {import("./broker.js").PastTurn} PastTurn */
/** @typedef {import("./microphone.js").MicrophoneWord} MicrophoneWord */
/** @typedef {import("./problem-words.js").Words} Words */
/** @typedef {import("./realtime-call.js").CallEvents} CallEvents */
/** @typedef {import("./realtime-call.js").CallState} CallState */
/** @typedef {import("./realtime-call.js").CallToken} CallToken */
/** @typedef {import("./realtime-call.js").EndReason} EndReason */
/** @typedef {import("./realtime-call.js").RealtimeEvent} RealtimeEvent */
/** @typedef {import("./transcript-assembler.js").Changes} Changes */
/** @typedef {import("./transcript-assembler.js").Line} Line */
/** @typedef {import("./transcript-assembler.js").Speaker} Speaker */
/** @typedef {import("./transcript-assembler.js").Turn} Turn */
/** @typedef {import("./transcript-outbox.js").OutboxEvents} OutboxEvents */
/** @typedef {import("./transcript-outbox.js").Renew} Renew */
/** @typedef {import("./transcript-outbox.js").Route} Route */
/** @typedef {import("./transcript-outbox.js").Saved} Saved */
/** @typedef {import("./audio-devices.js").Device} Device */
/** @typedef {import("./voice-session.js").Devices} Devices */
/** @typedef {import("./voice-session.js").MoveReason} MoveReason */
/** @typedef {import("./voice-session.js").Report} Report */
/** @typedef {import("./voice-session.js").SessionEvents} SessionEvents */
/** @typedef {import("./voice-session.js").SessionState} SessionState */
/** @typedef {import("./voice-session.js").SpokenLine} SpokenLine */
