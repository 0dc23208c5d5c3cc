/** The conversation being read: its messages, asking, editing, regenerating, stopping, rating. */
import { batch, computed, signal } from "../html.js";
import { newId } from "../api/ids.js";
import { conversations, messages as api } from "../api/endpoints.js";
import { followAnswer } from "./answering.js";
import { createMessage } from "./message.js";
import { mode, model } from "./preferences.js";
import { describe } from "../api/problem.js";
import { toastError } from "./notices.js";
import { choicesTo, pathThrough } from "./tree.js";
import { go } from "./route.js";
import { noteConversation, refreshConversation, startConversation } from "./conversations.js";

export const conversationId = signal(null);
export const loading = signal(false);
export const loadProblem = signal("");
const messages = signal([]);
const chosen = signal(new Map());

export const path = computed(() => pathThrough(messages.value, chosen.value));
export const running = computed(() => messages.value.find((message) => message.state.value === "streaming") ?? null);

/** Show a conversation; an answer that is still being written goes on streaming. */
export async function openConversation(id) {
  if (id === conversationId.value) return;
  clear(id);
  if (!id) return;
  loading.value = true;
  try {
    const [conversation, views] = await Promise.all([conversations.get(id), conversations.messages(id)]);
    if (conversationId.value !== id) return;
    const list = views.map(createMessage);
    batch(() => {
      messages.value = list;
      chosen.value = choicesTo(list, conversation.active_message_id);
      noteConversation(conversation);
    });
    for (const message of list) {
      if (message.state.value === "streaming") followAnswer(message, { whenDone: () => refreshConversation(id) });
    }
  } catch (error) {
    if (conversationId.value === id) loadProblem.value = describe(error);
  } finally {
    if (conversationId.value === id) loading.value = false;
  }
}

function clear(id) {
  batch(() => {
    conversationId.value = id;
    messages.value = [];
    chosen.value = new Map();
    loading.value = false;
    loadProblem.value = "";
  });
}

/** Ask a question at the end of the path shown; the first one starts a conversation. False when it was not taken. */
export async function ask(text) {
  let id = conversationId.value;
  if (!id) {
    try {
      id = (await startConversation(text, { mode: mode.value, model: model.value || undefined })).id;
    } catch (error) {
      toastError(error);
      return false;
    }
    clear(id);
    go(`/c/${id}`);
  }
  const last = path.value.at(-1)?.message;
  const question = addQuestion(text, last?.key);
  const fields = { content: text, id: question.id, parent_id: last?.id ?? undefined, ...choices(), answer: true };
  startAnswer(question, () => api.ask(id, fields), { repeatable: true });
  return true;
}

/** Ask the same question in other words, as a branch beside it. */
export function edit(question, text) {
  const branch = addQuestion(text, question.parentId);
  const fields = { content: text, id: branch.id, ...choices() };
  startAnswer(branch, () => api.edit(question.id, fields), { repeatable: true });
}

/** Another answer beside the one given. */
export function regenerate(answer) {
  const question = messages.value.find((message) => message.key === answer.parentId);
  startAnswer(question, () => api.regenerate(answer.id ?? question.id, choices()), { repeatable: false });
}

/** Stop the answer that is being written; what it has so far stays. */
export async function stop() {
  const answer = running.value;
  if (!answer) return;
  answer.stopping = true;
  try {
    await api.stop(answer.id ?? answer.parentId);
  } catch (error) {
    toastError(error);
  }
}

/** Rate an answer once; a second rating is refused by the server and said so. */
export async function rate(answer, rating, { comment = "", tags = [] } = {}) {
  const before = answer.rating.value;
  answer.rating.value = rating;
  try {
    await api.rate(answer.id, { rating, comment: comment || undefined, tags: tags.length ? tags : undefined });
    return true;
  } catch (error) {
    answer.rating.value = before;
    toastError(error);
    return false;
  }
}

/** Read another branch at this fork. */
export function choose(sibling) {
  chosen.value = new Map(chosen.value).set(sibling.parentId, sibling.key);
  const leaf = path.value.at(-1)?.message;
  if (leaf?.id) conversations.change(conversationId.value, { active_message_id: leaf.id }).catch(() => {});
}

const choices = () => ({ mode: mode.value, model: model.value || undefined });

function addQuestion(text, parentKey) {
  const question = createMessage({ id: newId(), parent_id: parentKey, role: "user", content: text });
  question.isNew = true;
  add(question);
  return question;
}

function startAnswer(question, open, { repeatable }) {
  const id = conversationId.value;
  const answer = createMessage({ parent_id: question.key, role: "assistant", state: "streaming" });
  answer.isNew = true;
  add(answer);
  followAnswer(answer, { open, repeatable, whenDone: () => refreshConversation(id) });
}

function add(message) {
  batch(() => {
    messages.value = [...messages.value, message];
    chosen.value = new Map(chosen.value).set(message.parentId, message.key);
  });
}
