import { Broker } from "./broker.js";
import { Page } from "./page.js";
import { TranscriptOutbox } from "./transcript-outbox.js";
import { VoiceSession } from "./voice-session.js";

const broker = new Broker();
const outbox = await TranscriptOutbox.open({ renew: (sessionId) => broker.renewGrant(sessionId) });
Object.assign(window, { engram: { outbox } }); // for tests, and for whoever asks what is still unsent
const page = new Page((speaker) => new VoiceSession({ broker, outbox, speaker }), broker);
await page.load();
