import { Broker } from "./broker.js";
import { Page } from "./page.js";
import { TranscriptOutbox } from "./transcript-outbox.js";
import { VoiceSession } from "./voice-session.js";

const broker = new Broker();
const outbox = await TranscriptOutbox.open({ renew: (sessionId) => broker.renewGrant(sessionId) });
const page = new Page((speaker) => new VoiceSession({ broker, outbox, speaker }), broker, outbox);
await page.load();
