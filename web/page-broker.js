import { find } from "./page-elements.js";

/** Where the broker is, as `index.html` says; nothing where the broker serves the page. Whoever publishes the page fills it in.
 * @returns {string} */
export function brokerUrl() {
  return find("meta[name=broker]").content;
}
