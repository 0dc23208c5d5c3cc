/** The page's keys: what works everywhere, and the list that tells a person about them. */
import { html } from "../html.js";
import { drawerOpen, sidebar } from "../state/preferences.js";
import { closePanel, panel } from "../state/panel.js";
import { running, stop } from "../state/thread.js";
import { go } from "../state/route.js";
import { show } from "./dialog.js";

const KEYS = [
  ["Enter", "Send the question"],
  ["Shift + Enter", "New line"],
  ["Esc", "Close what is open; stop the answer"],
  ["/", "Search conversations"],
  ["Alt + N", "New question"],
  ["↑ ↓", "Move in lists and menus"],
  ["← →", "Next source, when a document is open"],
  ["F2, Delete", "Rename or delete a conversation in the list"],
  ["↑ in an empty field", "Edit the last question"],
  ["?", "This list"],
];

export function showKeys() {
  const body = html`
    <dl class="keys">
      ${KEYS.map(
        ([key, does]) =>
          html`<div key=${key}>
            <dt><kbd>${key}</kbd></dt>
            <dd>${does}</dd>
          </div>`,
      )}
    </dl>
  `;
  show({ title: "Keyboard", body });
}

/** One listener for the whole page; fields keep the keys that they use themselves. */
export function onPageKey(event) {
  if (event.defaultPrevented || document.querySelector("dialog[open], [popover]:popover-open")) return;
  if (event.key === "Escape") onEscape(event);
  else if (event.altKey && event.code === "KeyN") go("/");
  else if (!isTyping(event.target) && !event.ctrlKey && !event.metaKey && !event.altKey) onPlainKey(event);
}

function onEscape(event) {
  event.preventDefault();
  if (drawerOpen.value) drawerOpen.value = false;
  else if (panel.value) closePanel();
  else if (running.value) stop();
}

function onPlainKey(event) {
  if (event.key === "?") showKeys();
  if (event.key !== "/") return;
  event.preventDefault();
  sidebar.value = "open";
  drawerOpen.value = true;
  requestAnimationFrame(() => document.querySelector("#conversation-search")?.focus());
}

const isTyping = (target) => target.matches?.("input, textarea, select, [contenteditable]");
