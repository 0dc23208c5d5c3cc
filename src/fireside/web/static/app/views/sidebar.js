/** The sidebar: new question, search, conversations by time, documents, and the person's own menu. */
import { html, signal, useEffect } from "../html.js";
import {
  changeConversation,
  deleteConversation,
  exportConversation,
  hasMore,
  list,
  listState,
  loadConversations,
  loadMore,
  searchConversations,
  titleOf,
  words,
} from "../state/conversations.js";
import { drawerOpen, sidebar, theme } from "../state/preferences.js";
import { route, go } from "../state/route.js";
import { may, signOut, user } from "../state/session.js";
import { period } from "../text/wording.js";
import { confirm, prompt } from "./dialog.js";
import { Icon, Mark } from "./icons.js";
import { Menu, moveFocus } from "./menu.js";
import { showKeys } from "./keys.js";

const focusable = signal(null);

export function Sidebar() {
  useEffect(() => {
    loadConversations();
  }, []);
  const at = route.value;
  return html`
    <aside id="sidebar" class="sidebar" aria-label="Conversations">
      <div class="sidebar-head">
        <a class="brand" href="/"><${Mark} /><span>Fireside</span></a>
        <button
          type="button"
          class="icon-button wide-only"
          aria-label="Hide sidebar"
          title="Hide sidebar"
          onClick=${() => (sidebar.value = "closed")}
        >
          <${Icon} name="panel-left" />
        </button>
        <button
          type="button"
          class="icon-button narrow-only"
          aria-label="Close menu"
          onClick=${() => (drawerOpen.value = false)}
        >
          <${Icon} name="x" />
        </button>
      </div>
      <nav class="sidebar-nav" aria-label="Main">
        <a class="nav-link" href="/" aria-current=${at.name === "home" ? "page" : null}
          ><${Icon} name="square-pen" />New question</a
        >
        <a class="nav-link" href="/documents" aria-current=${at.name === "documents" ? "page" : null}
          ><${Icon} name="files" />Documents</a
        >
      </nav>
      <div class="search-field">
        <${Icon} name="search" size=${16} />
        <input
          id="conversation-search"
          type="search"
          placeholder="Search conversations"
          aria-label="Search conversations"
          value=${words.value}
          onInput=${(event) => searchConversations(event.target.value)}
          onKeyDown=${searchKeys}
        />
        <kbd class="wide-only" aria-hidden="true">/</kbd>
      </div>
      <${ConversationList} currentId=${at.name === "conversation" ? at.id : null} />
      <${PersonMenu} />
    </aside>
  `;
}

function searchKeys(event) {
  if (event.key === "Escape" && words.value) {
    event.stopPropagation();
    searchConversations("");
  }
  if (event.key === "ArrowDown") {
    event.preventDefault();
    document.querySelector(".conversation-link")?.focus();
  }
}

function ConversationList({ currentId }) {
  const items = list.value;
  if (!items.length)
    return html`<div class="conversation-list"><p class="list-empty" role="status">${emptyText()}</p></div>`;
  const active = items.find((item) => item.id === (focusable.value ?? currentId)) ?? items[0];
  return html`
    <nav
      class="conversation-list"
      aria-label="Your conversations"
      onKeyDown=${(event) => moveFocus(event, { selector: ".conversation-link" })}
    >
      ${grouped(items).map(
        ([title, members]) => html`
          <section key=${title} aria-label=${title}>
            <h2>${title}</h2>
            <ul>
              ${members.map((item) => html`<${ConversationItem} key=${item.id} item=${item} current=${item.id === currentId} active=${item === active} />`)}
            </ul>
          </section>
        `,
      )}
      ${hasMore.value ? html`<button type="button" class="button quiet wide" onClick=${loadMore}>Show older</button>` : null}
    </nav>
  `;
}

function emptyText() {
  if (listState.value === "loading" || listState.value === "idle") return "Loading…";
  if (listState.value === "failed") return "Your conversations could not be loaded.";
  return words.value ? `Nothing found for “${words.value}”.` : "Your conversations will be kept here.";
}

function grouped(items) {
  const groups = new Map();
  for (const item of items) {
    const title = words.value ? "Found" : item.pinned ? "Pinned" : period(item.updated_at);
    groups.set(title, [...(groups.get(title) ?? []), item]);
  }
  return [...groups];
}

function ConversationItem({ item, current, active }) {
  const title = titleOf(item);
  const keys = (event) => {
    if (event.key === "F2") rename(item);
    if (event.key === "Delete") remove(item, current);
  };
  return html`
    <li class="conversation-item">
      <a
        class="conversation-link"
        href=${`/c/${item.id}`}
        aria-current=${current ? "page" : null}
        tabindex=${active ? 0 : -1}
        onFocus=${() => (focusable.value = item.id)}
        onKeyDown=${keys}
        title=${title}
        >${title}</a
      >
      <${Menu} label=${`More for ${title}`} tabIndex=${active ? 0 : -1} items=${conversationActions(item, current)} />
    </li>
  `;
}

/** What can be done with a conversation, for its menus. */
export const conversationActions = (item, current) => [
  { label: "Rename", icon: "pencil", run: () => rename(item) },
  {
    label: item.pinned ? "Unpin" : "Pin",
    icon: "pin",
    run: () => changeConversation(item.id, { pinned: !item.pinned }),
  },
  { label: "Export as Markdown", icon: "download", run: () => exportConversation(item.id, "md") },
  { label: "Export as web page", icon: "download", run: () => exportConversation(item.id, "html") },
  { label: "Export as JSON", icon: "download", run: () => exportConversation(item.id, "json") },
  { label: "Delete", icon: "trash-2", danger: true, run: () => remove(item, current) },
];

async function rename(item) {
  const title = await prompt({ title: "Rename conversation", label: "Title", value: titleOf(item), action: "Rename" });
  if (title) changeConversation(item.id, { title });
}

async function remove(item, current) {
  const sure = await confirm({
    title: "Delete this conversation?",
    text: `“${titleOf(item)}” and its answers will be deleted.`,
    action: "Delete",
  });
  if (sure && (await deleteConversation(item.id)) && current) go("/");
}

const THEMES = [
  { value: "auto", label: "As the system", icon: "monitor" },
  { value: "light", label: "Light", icon: "sun" },
  { value: "dark", label: "Dark", icon: "moon" },
];

function PersonMenu() {
  const name = user.value?.name || user.value?.email || "";
  const items = [
    ...THEMES.map(({ value, label, icon }) => ({
      label,
      icon,
      checked: theme.value === value,
      run: () => (theme.value = value),
    })),
    { label: "Usage and limits", icon: "scale", run: () => go("/usage") },
    ...(may("admin:read") ? [{ label: "Providers of models", icon: "settings", run: () => go("/providers") }] : []),
    { label: "Keyboard", icon: "keyboard", run: showKeys },
    { label: "Sign out", icon: "log-out", run: signOut },
  ];
  return html`
    <div class="sidebar-foot">
      <${Menu} label="Your account" className="person-button" items=${items}>
        <span class="avatar" aria-hidden="true">${name.slice(0, 1).toUpperCase()}</span>
        <span class="person-name">${name}</span>
        <${Icon} name="settings" size=${16} />
      <//>
    </div>
  `;
}
