/** Conversations as trees: which messages follow which, and the path that is being read. Pure functions. */

/** Children of each message in order of time; those without a known parent stand under null. */
export function childrenByParent(messages) {
  const known = new Set(messages.map((message) => message.key));
  const children = new Map();
  for (const message of messages) {
    const parent = known.has(message.parentId) ? message.parentId : null;
    if (!children.has(parent)) children.set(parent, []);
    children.get(parent).push(message);
  }
  return children;
}

/**
 * The path from the first message to a leaf. At each fork the chosen child is taken, otherwise the newest.
 * @param {Map<string|null, string>} chosen child key by parent key
 * @returns {{message: object, siblings: object[], position: number}[]}
 */
export function pathThrough(messages, chosen) {
  const children = childrenByParent(messages);
  const path = [];
  let siblings = children.get(null);
  let parent = null;
  while (siblings) {
    const wanted = siblings.findIndex((message) => message.key === chosen.get(parent));
    const position = wanted < 0 ? siblings.length - 1 : wanted;
    const message = siblings[position];
    path.push({ message, siblings, position });
    parent = message.key;
    siblings = children.get(parent);
  }
  return path;
}

/** The choices that lead to one message, so that a conversation opens on the branch last used. */
export function choicesTo(messages, leafId) {
  const byKey = new Map(messages.map((message) => [message.key, message]));
  const chosen = new Map();
  for (let message = byKey.get(leafId); message; message = byKey.get(message.parentId)) {
    chosen.set(byKey.has(message.parentId) ? message.parentId : null, message.key);
    if (!byKey.has(message.parentId)) break;
  }
  return chosen;
}
