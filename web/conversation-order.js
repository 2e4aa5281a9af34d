/**
 * The order of a conversation's items, from what each says about the item before it. Pure.
 *
 * Items arrive in any order. One whose predecessor is unknown stands at the end until the predecessor arrives;
 * of two that name the same predecessor, the later arrival was inserted between the predecessor and the other.
 */
export class ConversationOrder {
  /** @type {Map<string, string | null>} item id -> previous item id, in order of arrival */
  #previous = new Map();
  /** @type {string[]} */
  #ids = [];

  /** Item ids, first spoken first. */
  get ids() {
    return this.#ids;
  }

  /** @param {string} id @param {string | null} [previousId]  null or absent: not known, or the first */
  place(id, previousId = null) {
    const known = this.#previous.get(id);
    if (known !== undefined && (known === previousId || previousId === null)) return;
    this.#previous.set(id, previousId);
    this.#ids = this.#linked();
  }

  #linked() {
    const followers = this.#followers();
    /** @type {Set<string>} */
    const placed = new Set();
    for (const [id, previousId] of this.#previous) {
      if (previousId === null || !this.#previous.has(previousId)) follow(id, followers, placed);
    }
    for (const id of this.#previous.keys()) follow(id, followers, placed); // only a circle is left over
    return [...placed];
  }

  #followers() {
    /** @type {Map<string | null, string[]>} */
    const followers = new Map();
    for (const [id, previousId] of this.#previous) {
      followers.set(previousId, [...(followers.get(previousId) ?? []), id]);
    }
    return followers;
  }
}

/** @param {string} first @param {Map<string | null, string[]>} followers @param {Set<string>} placed */
function follow(first, followers, placed) {
  const ahead = [first];
  for (let id = ahead.pop(); id !== undefined; id = ahead.pop()) {
    if (placed.has(id)) continue;
    placed.add(id);
    ahead.push(...(followers.get(id) ?? []));
  }
}
