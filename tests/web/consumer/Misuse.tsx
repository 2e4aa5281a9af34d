// What the types must refuse: the check fails when one of these lines is no error.
import { Broker, TranscriptOutbox, VoiceSession } from "voicelive-web";
import type { SpokenLine, Turn } from "voicelive-web";
// @ts-expect-error  the page is not part of the library, nor is the inside of its modules
import { Page } from "voicelive-web/page.js";
// @ts-expect-error  what the modules share among themselves is not for others
import { aborted } from "voicelive-web";

const broker = new Broker();
const outbox = await TranscriptOutbox.open({ renew: (sessionId) => broker.renewGrant(sessionId) });
const session = new VoiceSession({ broker, outbox, speaker: new Audio() });

// @ts-expect-error  there is no such event
session.on("transcript", () => {});
// @ts-expect-error  a state is a word
session.on("state", (state: number) => state);
// @ts-expect-error  and no other word than these
session.on("state", (state) => state === "talking");
// @ts-expect-error  lines come as a list
session.on("lines", (line: SpokenLine) => line);
// @ts-expect-error  an end has a reason, which is a word
session.on("ended", ({ code }) => code);
// @ts-expect-error  nobody sets the state but the session
session.state = "listening";
// @ts-expect-error  with or without a microphone must be said
void session.start();
// @ts-expect-error  a session without an outbox would lose what was said
export const deaf = new VoiceSession({ broker, speaker: new Audio() });
// @ts-expect-error  a new grant is asked for later: it is a promise
export const hasty = TranscriptOutbox.open({ renew: () => "grant" });
// @ts-expect-error  a turn says who spoke, by one of two words
export const turn: Turn = { turn_id: "1", previous_turn_id: null, speaker: "system", text: "", spoken_at: "", interrupted: false };
// @ts-expect-error  a line has no HTML
export const Line = ({ line }: { line: SpokenLine }) => <p>{line.html}</p>;
