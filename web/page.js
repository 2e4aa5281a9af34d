import { AgentChoice } from "./page-agents.js";
import { CallDetails } from "./page-details.js";
import { find, onPress } from "./page-elements.js";
import { EndCard } from "./page-end-card.js";
import { Forgetting } from "./page-forgetting.js";
import { Level } from "./page-level.js";
import { MemoryMark } from "./page-memory.js";
import { MemorySheet } from "./page-memory-sheet.js";
import { Notice } from "./page-notice.js";
import { ProblemCard } from "./page-problem.js";
import { LatestInSight } from "./page-scroll.js";
import { Settings } from "./page-settings.js";
import { Shortcuts } from "./page-shortcuts.js";
import { TranscriptLog } from "./page-transcript.js";
import { VoicePanel } from "./page-voice.js";
import { isInCall, movedWords } from "./page-words.js";
import { wordsFor, wordsForEnd, wordsForMicrophone } from "./problem-words.js";

/** @typedef {import("./broker.js").Broker} Broker */
/** @typedef {import("./voice-session.js").VoiceSession} VoiceSession */

/** Joins the parts of the page: shows them what the session does, and passes on what the person wants of it. */
export class Page {
  /** @type {HTMLAudioElement} */
  speaker = find("audio#speaker");
  #notice = new Notice();
  #latest = new LatestInSight();
  #problem = new ProblemCard(this.#latest);
  #agents = new AgentChoice((agentId) => void this.#choose(agentId));
  /** @type {string | null} who was asked to come, and is not there yet */
  #comingId = null;
  #presentId = "";
  #session;
  #broker;
  #outbox;
  #voice;
  #level;
  #memory;
  #memorySheet;
  #log;
  #endCard;
  #forgetting;

  /**
   * @param {(speaker: HTMLAudioElement) => VoiceSession} makeSession @param {Broker} broker
   * @param {import("./page-memory.js").Outbox} outbox
   */
  constructor(makeSession, broker, outbox) {
    const session = (this.#session = makeSession(this.speaker));
    this.#broker = broker;
    this.#outbox = outbox;
    /** @param {string} agentId */
    const nameOf = (agentId) => this.#agents.agent(agentId).name;
    this.#voice = new VoicePanel(session);
    this.#level = new Level(session);
    this.#log = new TranscriptLog({ nameOf, latest: this.#latest });
    this.#memory = new MemoryMark(session, { outbox, log: this.#log });
    this.#memorySheet = new MemorySheet(broker);
    const shown = { log: this.#log, memory: this.#memory, latest: this.#latest, nameOf };
    this.#endCard = new EndCard(session, { ...shown, onAnew: () => this.#begin() });
    this.#forgetting = new Forgetting(session, { broker, onForgotten: () => this.#begin() });
    this.#follow(session);
    this.#obey(session);
  }

  get session() {
    return this.#session;
  }

  /** Who can be called, and what this tab's session already said. */
  async load() {
    try {
      const { agents, default_agent: first, enrichment } = await this.#broker.listAgents();
      this.#problem.clear();
      this.#agents.show(agents);
      const isKnown = agents.some(({ id }) => id === this.#session.agentId);
      await this.#choose(isKnown || isInCall(this.#session.state) ? this.#session.agentId : first);
      this.#memory.turn(enrichment !== null);
      this.#memorySheet.know(enrichment);
      this.#forgetting.know(enrichment);
      if (enrichment && this.#session.sessionId) await this.#readBack(enrichment.episodes_url, this.#session.sessionId);
    } catch (error) {
      this.#problem.show(wordsFor(error), () => this.load());
    }
  }

  /** @param {VoiceSession} session */
  #follow(session) {
    session.on("state", () => this.#show());
    session.on("lines", (lines) => this.#log.show(lines));
    session.on("saved", ({ turnId, saved }) => {
      this.#log.showSaved(turnId, saved);
      this.#memory.show();
      this.#endCard.show();
    });
    session.on("moved", ({ why, agentId }) => {
      if (agentId === this.#comingId) this.#comingId = null;
      this.#show();
      this.#notice.tell(movedWords(why, this.#agents.agent(agentId).name));
    });
    session.on("deafened", () => this.#problem.show(wordsForMicrophone("gone"), () => this.#startOver()));
    session.on("ended", (reason) => {
      this.#notice.tell("");
      if (reason !== "hung-up") this.#problem.show(wordsForEnd(reason), () => this.#start());
    });
  }

  /** @param {VoiceSession} session */
  #obey(session) {
    const details = new CallDetails(session);
    const settings = new Settings(session, { openDetails: () => details.open() });
    new Shortcuts({ mute: () => this.#voice.toggleMute(), stopTalking: () => session.stopTalking(), help: () => settings.open() });
    find("#start").addEventListener("click", (/** @type {MouseEvent} */ { detail: clicks }) => {
      if (clicks > 1) return; // a double click means the same as one, not its opposite
      if (isInCall(session.state)) session.end();
      else void this.#start();
    });
    onPress("#memory", () => this.#forgetting.showIfPossible());
    find("#say").addEventListener("submit", (/** @type {SubmitEvent} */ event) => {
      event.preventDefault();
      void this.#say();
    });
    addEventListener("pagehide", () => session.leave()); // hands the last turns to the outbox
  }

  async #start() {
    this.#problem.clear();
    this.#latest.toEnd();
    await this.#session
      .start({ withMicrophone: true })
      .catch((error) => this.#problem.show(wordsFor(error), () => this.#start()));
  }

  #startOver() {
    this.#session.end();
    void this.#start();
  }

  async #say() {
    const input = /** @type {HTMLInputElement} */ (find("#text"));
    const text = input.value.trim();
    if (!text) return;
    this.#problem.clear();
    this.#latest.toEnd();
    input.value = "";
    try {
      await this.#session.say(text);
    } catch (error) {
      input.value ||= text; // nothing written is lost
      this.#problem.show(wordsFor(error), () => this.#say());
    }
  }

  /** @param {string} agentId */
  async #choose(agentId) {
    this.#comingId = agentId;
    this.#show();
    if (isInCall(this.#session.state)) this.#notice.tell(`${this.#agents.agent(agentId).name} is joining …`);
    try {
      if (agentId !== this.#session.agentId) await this.#session.switchTo(agentId);
    } catch (error) {
      this.#notice.tell("");
      this.#problem.show(wordsFor(error), () => this.#choose(agentId));
    }
    if (this.#comingId === agentId) this.#comingId = null; // else somebody else was chosen meanwhile
    this.#show();
  }

  /** As it was before the first word. */
  #begin() {
    this.#problem.clear();
    this.#log.clear();
    this.#memory.forget();
    this.#show();
    void this.#memorySheet.read();
    this.#forgetting.showIfPossible();
  }

  #show() {
    const { state, agentId } = this.#session;
    if (!this.#comingId || !isInCall(state)) this.#presentId = agentId;
    this.#agents.mark(this.#presentId, this.#comingId);
    this.#agents.enable(state !== "connecting" && state !== "reconnecting");
    this.#voice.show(this.#agents.agent(this.#presentId));
    this.#level.follow();
    this.#endCard.show();
  }

  /** @param {string} episodesUrl @param {string} sessionId */
  async #readBack(episodesUrl, sessionId) {
    // Memory out of reach must not look like a broken call: the page goes on without what was said earlier.
    const turns = await this.#broker.readEpisode(episodesUrl, sessionId).catch(() => null);
    if (turns === null) this.#memory.wasOutOfReach();
    this.#log.showEarlier(turns ?? [], await this.#outbox.waitingTurns(sessionId));
    this.#memory.show();
  }
}
