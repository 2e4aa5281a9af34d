import { useEffect, useRef, useState } from "react";
import { Broker, TranscriptOutbox, VoiceSession, wordsFor, wordsForEnd } from "voicelive-web";
import type { SessionState, SpokenLine } from "voicelive-web";

const broker = new Broker({ baseUrl: "https://broker.example", accessToken: async () => "of the person who is signed in" });

let opening: Promise<TranscriptOutbox> | undefined;

/** One outbox for the tab, however often React mounts, and none where pages are rendered on a server. */
function openOutbox() {
  return (opening ??= TranscriptOutbox.open({ renew: (sessionId) => broker.renewGrant(sessionId) }));
}

/** A conversation with one agent: who speaks, what was said, and what went wrong. */
export function Conversation({ agentId }: { agentId: string }) {
  const speaker = useRef<HTMLAudioElement>(null);
  const [session, setSession] = useState<VoiceSession>();
  const [state, setState] = useState<SessionState>("ready");
  const [lines, setLines] = useState<SpokenLine[]>([]);
  const [problem, setProblem] = useState("");

  useEffect(() => {
    const leaving = new AbortController();
    void openOutbox().then((outbox) => {
      if (leaving.signal.aborted || !speaker.current) return; // unmounted while the database was opening
      setSession(follow(new VoiceSession({ broker, outbox, speaker: speaker.current, signal: leaving.signal }), leaving.signal));
    });
    return () => leaving.abort();
  }, []);

  /** Until the signal aborts, which also ends the call: one cleanup for every listener. */
  function follow(session: VoiceSession, signal: AbortSignal) {
    session.on("state", setState, { signal });
    session.on("lines", setLines, { signal });
    session.on("ended", (reason) => setProblem(wordsForEnd(reason).title), { signal });
    signal.addEventListener("abort", () => session.leave());
    return session;
  }

  const isOver = state === "ready" || state === "ended";

  async function startOrEnd() {
    if (!isOver) return session?.end();
    setProblem("");
    try {
      await session?.switchTo(agentId);
      await session?.start({ withMicrophone: true });
    } catch (error) {
      setProblem(wordsFor(error).title);
    }
  }

  return (
    <section>
      <button disabled={!session} onClick={startOrEnd}>
        {isOver ? "Start" : "End"}
      </button>
      <p role="status">{state}</p>
      <p role="alert">{problem}</p>
      <ol>
        {lines.map(({ turnId, speaker, text }) => (
          <li key={turnId}>{`${speaker === "user" ? "You" : agentId}: ${text}`}</li>
        ))}
      </ol>
      <audio ref={speaker} />
    </section>
  );
}
