import { all, find, make, write } from "./page-elements.js";

/** @typedef {import("./broker.js").Agent} Agent */

/** The people one can talk with, of whom one is chosen; in a call another can be chosen too. */
export class AgentChoice {
  /** @type {Agent[]} */
  #agents = [];
  #onChoice;

  /** @param {(agentId: string) => void} onChoice */
  constructor(onChoice) {
    this.#onChoice = onChoice;
  }

  /** @param {Agent[]} agents */
  show(agents) {
    this.#agents = agents;
    find("#agents").replaceChildren(...agents.map((agent) => this.#button(agent)));
  }

  /** @param {string} agentId who speaks with the person @param {string | null} comingId */
  mark(agentId, comingId) {
    document.body.dataset.agent = agentId;
    for (const button of all("#agents button")) {
      button.setAttribute("aria-pressed", String(button.dataset.agent === agentId));
      button.setAttribute("aria-busy", String(button.dataset.agent === comingId));
    }
    if (this.#agents.length > 0) write("#name", this.agent(agentId).name);
  }

  /** @param {boolean} isPossible */
  enable(isPossible) {
    for (const button of all("#agents button")) /** @type {HTMLButtonElement} */ (button).disabled = !isPossible;
  }

  /** @param {string} agentId @returns {Agent} */
  agent(agentId) {
    return this.#agents.find(({ id }) => id === agentId) ?? { id: agentId, name: "Agent" };
  }

  /** @param {Agent} agent */
  #button({ id, name, role = "" }) {
    const button = make("button");
    Object.assign(button.dataset, { agent: id, initial: name[0] });
    button.setAttribute("type", "button");
    button.append(make("span", name), make("small", role));
    button.addEventListener("click", () => this.#onChoice(id));
    return button;
  }
}
