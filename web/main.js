import * as broker from "./broker.js";
import { Page } from "./page.js";
import { TranscriptOutbox } from "./transcript-outbox.js";
import { VoiceSession } from "./voice-session.js";

const outbox = await TranscriptOutbox.open({ renew: broker.renewGrant });
const page = new Page((speaker) => new VoiceSession({ outbox, speaker }), broker);
await page.load();
