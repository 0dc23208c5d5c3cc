/** The list of documents: loading, deleting, and waiting until new ones are ready. */
import { signal } from "../html.js";
import { documents as api } from "../api/endpoints.js";
import { describe } from "../api/problem.js";
import { toastError } from "./notices.js";

export const documents = signal(null);
export const hasMore = signal(false);
export const problem = signal("");

const POLL_MS = 1200;
const MOST_POLLS = 200;
let cursor = null;
let pause = null;

/** Load the newest page. */
export async function loadDocuments() {
  problem.value = "";
  try {
    const page = await api.page();
    documents.value = page.items;
    cursor = page.next_cursor;
    hasMore.value = Boolean(cursor);
  } catch (error) {
    problem.value = describe(error);
  }
}

export async function loadMoreDocuments() {
  try {
    const page = await api.page({ cursor });
    documents.value = [...documents.value, ...page.items];
    cursor = page.next_cursor;
    hasMore.value = Boolean(cursor);
  } catch (error) {
    toastError(error);
  }
}

/** Something was added or changed: load again soon, once for many changes. */
export function documentsChanged() {
  clearTimeout(pause);
  pause = setTimeout(loadDocuments, 150);
}

/** Wait until none of these documents is being read any more; how each one stands then. */
export async function followDocuments(ids) {
  for (let poll = 0; poll < MOST_POLLS; poll += 1) {
    const mine = (await api.all({ most: 2000 })).filter((document) => ids.has(document.id));
    if (mine.every((document) => ["indexed", "failed"].includes(document.state))) return mine;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  return [];
}

/** Delete a document with everything that was read from it. */
export async function deleteDocument(id) {
  try {
    await api.remove(id);
    documents.value = documents.value.filter((document) => document.id !== id);
  } catch (error) {
    toastError(error);
  }
}
