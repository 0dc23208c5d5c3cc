/** The list of conversations: loading, searching, renaming, deleting, and titles that arrive later. */
import { batch, signal } from "../html.js";
import { conversations as api } from "../api/endpoints.js";
import { toastError } from "./notices.js";

export const list = signal([]);
export const listState = signal("idle");
export const words = signal("");
export const hasMore = signal(false);
const byId = signal(new Map());

const provisionalTitles = new Map();

let cursor = null;
let turn = 0;
const TITLE_WAITS_MS = [400, 1500, 4000];

export const conversation = (id) => byId.value.get(id) ?? null;

/** What a conversation is called, named or not yet. */
export const titleOf = (item) => item?.title || provisionalTitles.get(item?.id) || "New conversation";

/** Load the first page for the words searched; a later call overtakes an earlier one. */
export async function loadConversations() {
  const mine = ++turn;
  listState.value = "loading";
  try {
    const page = await api.page({ words: words.value.trim() });
    if (mine !== turn) return;
    takePage(page, []);
    listState.value = "ready";
  } catch (error) {
    if (mine !== turn) return;
    listState.value = "failed";
    toastError(error);
  }
}

export async function loadMore() {
  if (!cursor) return;
  const mine = turn;
  try {
    const page = await api.page({ words: words.value.trim(), cursor });
    if (mine === turn) takePage(page, list.value);
  } catch (error) {
    toastError(error);
  }
}

function takePage(page, before) {
  batch(() => {
    cursor = page.next_cursor;
    hasMore.value = Boolean(cursor);
    list.value = [...before, ...page.items];
    byId.value = new Map([...byId.value, ...page.items.map((item) => [item.id, item])]);
  });
}

/** Search as the person types; waits for a pause. */
let pause = null;
export function searchConversations(text) {
  words.value = text;
  clearTimeout(pause);
  pause = setTimeout(loadConversations, 220);
}

/** Begin a conversation; until the server has named it, it is called by its question. */
export async function startConversation(question, fields) {
  const made = await api.create(fields);
  provisionalTitles.set(made.id, question.length > 80 ? `${question.slice(0, 79)}…` : question);
  noteConversation(made, { first: true });
  return made;
}

/** Take over what the server says of one conversation. */
export function noteConversation(item, { first = false } = {}) {
  batch(() => {
    byId.value = new Map(byId.value).set(item.id, item);
    const known = list.value.some((other) => other.id === item.id);
    if (known) list.value = list.value.map((other) => (other.id === item.id ? item : other));
    else if (first || !words.value) list.value = first ? [item, ...list.value] : list.value;
  });
}

/** After an answer: the conversation moves up, and its title may still be on its way. */
export async function refreshConversation(id) {
  for (const milliseconds of TITLE_WAITS_MS) {
    try {
      const item = await api.get(id);
      noteConversation(item, { first: !list.value.some((other) => other.id === id) });
      moveUp(item);
      if (item.title) return;
    } catch {
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, milliseconds));
  }
}

function moveUp(item) {
  if (item.pinned || words.value) return;
  const rest = list.value.filter((other) => other.id !== item.id);
  const firstUnpinned = rest.findIndex((other) => !other.pinned);
  const place = firstUnpinned < 0 ? rest.length : firstUnpinned;
  list.value = [...rest.slice(0, place), item, ...rest.slice(place)];
}

/** Change title or pin; shown at once, taken back when refused. */
export async function changeConversation(id, fields) {
  const before = byId.value.get(id);
  noteConversation({ ...before, ...fields });
  try {
    noteConversation(await api.change(id, fields));
    if ("pinned" in fields) await loadConversations();
  } catch (error) {
    noteConversation(before);
    toastError(error);
  }
}

/** Delete a conversation; true when it is gone. */
export async function deleteConversation(id) {
  try {
    await api.remove(id);
    list.value = list.value.filter((item) => item.id !== id);
    return true;
  } catch (error) {
    toastError(error);
    return false;
  }
}

/** Download a conversation as a file. */
export async function exportConversation(id, format) {
  try {
    const response = await api.exported(id, format);
    const name = fileName(response.headers.get("Content-Disposition") ?? "");
    const url = URL.createObjectURL(await response.blob());
    const link = Object.assign(document.createElement("a"), { href: url, download: name ?? `conversation.${format}` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
  } catch (error) {
    toastError(error);
  }
}

// the name as RFC 6266 puts it: encoded in filename*, or plain in filename
function fileName(disposition) {
  const encoded = /filename\*=UTF-8''([^;]+)/i.exec(disposition)?.[1];
  return encoded ? decodeURIComponent(encoded) : /filename="?([^";]+)/.exec(disposition)?.[1];
}
