/** The few words in which the modules of the page speak of its document; they alone may (`page*.js`). */

/** @param {string} selector @param {ParentNode} [within] @returns {any} an element that index.html has */
export function find(selector, within = document) {
  return within.querySelector(selector);
}

/** @param {string} selector @returns {NodeListOf<HTMLElement>} */
export function all(selector) {
  return document.querySelectorAll(selector);
}

/** Only what differs, so that nothing is read aloud twice. @param {string} selector @param {string} text @param {ParentNode} [within] */
export function write(selector, text, within) {
  const element = find(selector, within);
  if (element.textContent !== text) element.textContent = text;
}

/** @param {string} selector @param {boolean} isShown */
export function show(selector, isShown) {
  find(selector).hidden = !isShown;
}

/** @param {string} selector @param {boolean} isPossible */
export function enable(selector, isPossible) {
  find(selector).disabled = !isPossible;
}

/** @param {string} name @param {string} [text] @returns {HTMLElement} */
export function make(name, text = "") {
  const element = document.createElement(name);
  element.textContent = text;
  return element;
}

/** @param {string} selector @param {() => void} act */
export function onPress(selector, act) {
  find(selector).addEventListener("click", act);
}
