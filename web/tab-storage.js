const SESSION_KEY = "engram_session_id"; // the name under which voice and chat of the same person meet
const AGENT_KEY = "engram_agent_id";

/** What a tab knows again after a reload. Where the browser forbids storage nothing is known, and nothing fails. */
export const tabStorage = {
  /** @returns {string | null} */
  get sessionId() {
    return read(SESSION_KEY);
  },
  set sessionId(id) {
    write(SESSION_KEY, id);
  },
  /** @returns {string | null} */
  get agentId() {
    return read(AGENT_KEY);
  },
  set agentId(id) {
    write(AGENT_KEY, id);
  },
};

/** @param {string} key */
function read(key) {
  try {
    return sessionStorage.getItem(key);
  } catch {
    return null;
  }
}

/** @param {string} key @param {string | null} value  null: forget it */
function write(key, value) {
  try {
    if (value === null) sessionStorage.removeItem(key);
    else sessionStorage.setItem(key, value);
  } catch {
    // known as long as the page lives
  }
}
