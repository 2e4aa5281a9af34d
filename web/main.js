import { Broker } from "./broker.js";
import { Page } from "./page.js";
import { brokerUrl } from "./page-broker.js";
import { TranscriptOutbox } from "./transcript-outbox.js";
import { VoiceSession } from "./voice-session.js";

const broker = new Broker({ baseUrl: brokerUrl() });
const outbox = await TranscriptOutbox.open({ renew: (sessionId) => broker.renewGrant(sessionId) });
/** @param {HTMLAudioElement} speaker */
const makeSession = (speaker) => new VoiceSession({ broker, outbox, speaker });
const page = new Page(makeSession, broker, outbox);
Object.assign(window, { engram: { outbox, session: page.session } }); // for tests, and for whoever looks with the console
await page.load();
