import { hintFor, memoryWords, SAVED_WORDS } from "./page-words.js";
import { wordsFor, wordsForEnd, wordsForMicrophone } from "./problem-words.js";

/** @typedef {import("./broker.js").Agent} Agent */
/** @typedef {import("./broker.js").Agents} Agents */
/** @typedef {import("./broker.js").PastTurn} PastTurn */
/** @typedef {import("./transcript-outbox.js").Saved} Saved */
/** @typedef {import("./voice-session.js").SpokenLine} SpokenLine */
/** @typedef {import("./voice-session.js").SessionState} SessionState */
/** @typedef {import("./voice-session.js").VoiceSession} VoiceSession */
/** @typedef {import("./broker.js").Broker} Broker */

const TIME_LEFT_SHOWN_MS = 5 * 60_000;
const NEAR_THE_END_PX = 160;

/** The only module that touches the DOM: shows the session, and passes on what the person wants of it. */
export class Page {
  /** @type {HTMLAudioElement} */
  speaker = find("audio#speaker");
  /** @type {Agent[]} */
  #agents = [];
  /** @type {Map<string, Saved>} turn id -> how far it came on its way to memory */
  #saved = new Map();
  #memory = { isOn: false, isLate: false, facts: 0 };
  /** @type {() => void} what "Try again" does */
  #again = () => {};
  #countdown = 0;
  #session;
  #broker;

  /** @param {(speaker: HTMLAudioElement) => VoiceSession} makeSession @param {Broker} broker */
  constructor(makeSession, broker) {
    this.#session = makeSession(this.speaker);
    this.#broker = broker;
    this.#followSession(this.#session);
    this.#followPerson(this.#session);
    setInterval(() => this.#showTimeLeft(), 1_000);
  }

  get session() {
    return this.#session;
  }

  /** Who can be called, and what this tab's session already said. */
  async load() {
    try {
      const { agents, default_agent: first, enrichment } = await this.#broker.listAgents();
      this.#clearProblem();
      this.#showAgents(agents, first);
      this.#memory.isOn = enrichment !== null;
      this.#showMemory();
      if (enrichment && this.#session.sessionId) await this.#readBack(enrichment.episodes_url, this.#session.sessionId);
    } catch (error) {
      this.#showProblem(wordsFor(error), () => this.load());
    }
  }

  /** @param {VoiceSession} session */
  #followSession(session) {
    session.on("state", (state) => this.#showState(state));
    session.on("lines", (lines) => this.#showLines(lines));
    session.on("saved", ({ turnId, saved }) => this.#showSaved(turnId, saved));
    session.on("silenced", () => show("#hear", true));
    session.on("deafened", () => this.#showProblem(wordsForMicrophone("gone"), () => this.#startOver()));
    session.on("ended", (reason) => {
      if (reason !== "hung-up") this.#showProblem(wordsForEnd(reason), () => this.#start());
    });
    session.on("memory", ({ status, facts }) => {
      this.#memory = { isOn: status !== "off", isLate: status === "timeout", facts };
      this.#showMemory();
    });
  }

  /** @param {VoiceSession} session */
  #followPerson(session) {
    find("#start").addEventListener("click", (/** @type {MouseEvent} */ { detail: clicks }) => {
      if (clicks > 1) return; // a double click means the same as one, not its opposite
      if (isInCall(session.state)) session.end();
      else void this.#start();
    });
    find("#mute").addEventListener("click", () => this.#toggleMute());
    find("#stop-talking").addEventListener("click", () => session.stopTalking());
    find("#retry").addEventListener("click", () => {
      find("#start").focus({ preventScroll: true }); // this button goes away with its problem
      this.#again();
    });
    find("#hear").addEventListener("click", () => this.speaker.play().then(() => show("#hear", false), () => {}));
    find("#say").addEventListener("submit", (/** @type {SubmitEvent} */ event) => {
      event.preventDefault();
      void this.#say();
    });
    addEventListener("keydown", ({ key }) => key === "Escape" && session.stopTalking());
    addEventListener("pagehide", () => session.leave()); // hands the last turns to the outbox
  }

  async #start() {
    this.#clearProblem();
    scrollToEnd();
    await this.#session
      .start({ withMicrophone: true })
      .catch((error) => this.#showProblem(wordsFor(error), () => this.#start()));
  }

  #startOver() {
    this.#session.end();
    void this.#start();
  }

  async #say() {
    const input = /** @type {HTMLInputElement} */ (find("#text"));
    const text = input.value.trim();
    if (!text) return;
    this.#clearProblem();
    scrollToEnd();
    input.value = "";
    try {
      await this.#session.say(text);
    } catch (error) {
      input.value ||= text; // nothing written is lost
      this.#showProblem(wordsFor(error), () => this.#say());
    }
  }

  #toggleMute() {
    this.#session.setMuted(!this.#session.isMuted);
    find("#mute").setAttribute("aria-pressed", String(this.#session.isMuted));
  }

  /** @param {Agent[]} agents @param {string} chosen */
  #showAgents(agents, chosen) {
    this.#agents = agents;
    find("#agents").replaceChildren(...agents.map((agent) => this.#agentButton(agent)));
    this.#choose(chosen);
  }

  /** @param {Agent} agent */
  #agentButton({ id, name, role }) {
    const button = make("button", name);
    Object.assign(button.dataset, { agent: id, initial: name[0] });
    button.setAttribute("type", "button");
    if (role) button.title = role;
    button.addEventListener("click", () => this.#choose(id));
    return button;
  }

  /** @param {string} agentId */
  #choose(agentId) {
    void this.#session.switchTo(agentId);
    document.body.dataset.agent = agentId;
    for (const button of all("#agents button")) {
      button.setAttribute("aria-pressed", String(button.dataset.agent === agentId));
    }
    write("#name", this.#agent(agentId).name);
    this.#showState(this.#session.state);
  }

  /** @param {SessionState} state */
  #showState(state) {
    const inCall = isInCall(state);
    document.body.dataset.state = find("#state").dataset.state = state;
    write("#state", state);
    write("#hint", hintFor(state, this.#agent(this.#session.agentId), this.#session.hasMicrophone));
    write("#start", inCall ? "End" : "Start");
    show("#mute", inCall && state !== "connecting" && this.#session.hasMicrophone);
    show("#stop-talking", inCall && state !== "connecting");
    /** @type {HTMLButtonElement} */ (find("#stop-talking")).disabled = state !== "speaking" && state !== "thinking";
    find("#mute").setAttribute("aria-pressed", String(this.#session.isMuted));
    for (const button of all("#agents button")) /** @type {HTMLButtonElement} */ (button).disabled = inCall;
    if (!inCall) show("#hear", false);
  }

  /** Finals go into the log, which is read aloud; from the first unfinished line on they wait outside of it.
   * @param {SpokenLine[]} lines */
  #showLines(lines) {
    const wasAtEnd = isAtEnd();
    const open = lines.findIndex((line) => line.state === "partial");
    const settled = open < 0 ? lines.length : open;
    this.#fill(find("#transcript ol"), lines.slice(0, settled));
    this.#fill(find("#partial"), lines.slice(settled));
    if (wasAtEnd) scrollToEnd();
  }

  /** Changes only what differs, so that a screen reader hears each line once.
   * @param {HTMLElement} list @param {SpokenLine[]} lines */
  #fill(list, lines) {
    const shown = new Map([...list.children].map((child) => [/** @type {HTMLElement} */ (child).dataset.turnId, child]));
    lines.forEach((line, index) => {
      const entry = /** @type {HTMLElement} */ (shown.get(line.turnId) ?? this.#entry(line));
      shown.delete(line.turnId);
      this.#updateEntry(entry, line);
      if (list.children[index] !== entry) list.insertBefore(entry, list.children[index] ?? null);
    });
    for (const gone of shown.values()) gone.remove();
  }

  /** @param {{turnId: string, speaker: string, agentId: string}} line */
  #entry({ turnId, speaker, agentId }) {
    const entry = make("li");
    Object.assign(entry.dataset, { turnId, speaker, agent: agentId });
    const mark = make("small");
    mark.ariaLive = "off"; // the log is read aloud when words come, not once more for each step to memory
    entry.append(make("span", speaker === "user" ? "You" : this.#agent(agentId).name), make("p"), mark);
    return entry;
  }

  /** @param {HTMLElement} entry @param {{turnId: string, text: string, state: string}} line */
  #updateEntry(entry, { turnId, text, state }) {
    entry.dataset.state = state;
    write("p", state === "unheard" ? "could not be transcribed" : text || "…", entry);
    const saved = this.#saved.get(turnId);
    if (saved) this.#mark(entry, saved);
  }

  /** @param {HTMLElement} entry @param {Saved} saved */
  #mark(entry, saved) {
    entry.dataset.saved = saved;
    write("small", SAVED_WORDS[saved], entry);
  }

  /** @param {string} turnId @param {Saved} saved */
  #showSaved(turnId, saved) {
    this.#saved.set(turnId, saved);
    for (const entry of all("#transcript li, #partial li")) {
      if (entry.dataset.turnId === turnId) this.#mark(entry, saved);
    }
    this.#showMemory();
  }

  #showMemory() {
    const { state, text } = memoryWords({ ...this.#memory, saved: this.#saved.values() });
    find("#memory").dataset.state = state;
    write("#memory", text);
    show("#memory", true);
  }

  /** @param {string} episodesUrl @param {string} sessionId */
  async #readBack(episodesUrl, sessionId) {
    // Memory out of reach must not look like a broken call: the page goes on without what was said earlier.
    const turns = await this.#broker.readEpisode(episodesUrl, sessionId).catch(() => null);
    if (turns === null) this.#memory.isLate = true;
    find("#earlier ol").replaceChildren(...(turns ?? []).map((turn) => this.#pastEntry(turn)));
    show("#earlier", Boolean(turns?.length));
    scrollToEnd();
    this.#showMemory();
  }

  /** @param {PastTurn} turn */
  #pastEntry({ turn_id: turnId, role, content, agent_id: agentId = "", interrupted }) {
    const entry = this.#entry({ turnId, speaker: role, agentId });
    this.#updateEntry(entry, { turnId, text: content, state: interrupted ? "interrupted" : "final" });
    this.#mark(entry, "saved");
    return entry;
  }

  /** @param {import("./problem-words.js").Words} words @param {() => void} again */
  #showProblem({ title, advice, retryAfterMs }, again) {
    this.#again = again;
    write("#problem h2", title);
    write("#problem p", advice);
    show("#problem", true);
    find("#problem").scrollIntoView({ block: "nearest" });
    this.#countDown(Date.now() + retryAfterMs);
  }

  #clearProblem() {
    clearInterval(this.#countdown);
    show("#problem", false);
  }

  /** @param {number} untilMs */
  #countDown(untilMs) {
    const retry = /** @type {HTMLButtonElement} */ (find("#retry"));
    const tick = () => {
      const seconds = Math.ceil((untilMs - Date.now()) / 1000);
      retry.disabled = seconds > 0;
      write("#retry", seconds > 0 ? `Try again in ${seconds} s` : "Try again");
      if (seconds <= 0) clearInterval(this.#countdown);
    };
    clearInterval(this.#countdown);
    this.#countdown = setInterval(tick, 250);
    tick();
  }

  #showTimeLeft() {
    const leftMs = this.#session.callEndsAtMs - Date.now();
    const minutes = Math.ceil(leftMs / 60_000);
    show("#left", isInCall(this.#session.state) && leftMs > 0 && leftMs < TIME_LEFT_SHOWN_MS);
    write("#left", minutes > 1 ? `${minutes} minutes left` : "Less than a minute left");
  }

  /** @param {string} agentId @returns {Agent} */
  #agent(agentId) {
    return this.#agents.find(({ id }) => id === agentId) ?? { id: agentId, name: "Agent" };
  }
}

/** @param {SessionState} state */
function isInCall(state) {
  return state !== "ready" && state !== "ended";
}

function scrollToEnd() {
  scrollTo({ top: document.documentElement.scrollHeight });
}

function isAtEnd() {
  const { scrollHeight, scrollTop, clientHeight } = document.documentElement;
  return scrollHeight - scrollTop - clientHeight < NEAR_THE_END_PX;
}

/** @param {string} selector @param {ParentNode} [within] @returns {any} an element that index.html has */
function find(selector, within = document) {
  return within.querySelector(selector);
}

/** @param {string} selector @returns {NodeListOf<HTMLElement>} */
function all(selector) {
  return document.querySelectorAll(selector);
}

/** @param {string} selector @param {string} text @param {ParentNode} [within] */
function write(selector, text, within) {
  const element = find(selector, within);
  if (element.textContent !== text) element.textContent = text;
}

/** @param {string} selector @param {boolean} isShown */
function show(selector, isShown) {
  find(selector).hidden = !isShown;
}

/** @param {string} name @param {string} [text] @returns {HTMLElement} */
function make(name, text = "") {
  const element = document.createElement(name);
  element.textContent = text;
  return element;
}
