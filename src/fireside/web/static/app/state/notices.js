/** Short messages to the person: ones that are seen (toasts) and ones that are only spoken by a screen reader. */
import { signal } from "../html.js";
import { describe, isAbort } from "../api/problem.js";
import { newId } from "../api/ids.js";

export const toasts = signal([]);
export const spoken = signal("");

const SHOWN_MS = 7000;
let waiting = [];
let timer = null;

/** Show a message for a while. `action`: {label, run} offers one thing to do about it. */
export function toast(text, { kind = "info", action = null } = {}) {
  const item = { id: newId(), text, kind, action };
  toasts.value = [...toasts.value.filter((other) => other.text !== text), item].slice(-3);
  setTimeout(() => dismiss(item.id), SHOWN_MS);
}

export function dismiss(id) {
  toasts.value = toasts.value.filter((item) => item.id !== id);
}

/** Show what went wrong; aborted requests went as wished. */
export function toastError(error) {
  if (!isAbort(error)) toast(describe(error), { kind: "error" });
}

/** Speak a text politely; texts that come fast are joined so that none is cut off. */
export function speak(text) {
  waiting.push(text);
  timer ??= setTimeout(() => {
    spoken.value = waiting.join(" ");
    waiting = [];
    timer = null;
  }, 900);
}
