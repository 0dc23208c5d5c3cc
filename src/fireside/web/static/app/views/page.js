/** The whole page: doors for those outside, otherwise sidebar, content and document panel. */
import { html, useEffect } from "../html.js";
import { conversation, titleOf } from "../state/conversations.js";
import { dismiss, spoken, toasts } from "../state/notices.js";
import { panel } from "../state/panel.js";
import { drawerOpen, sidebar } from "../state/preferences.js";
import { route } from "../state/route.js";
import { sessionState } from "../state/session.js";
import { DropZone } from "./add-documents.js";
import { DialogHost } from "./dialog.js";
import { Documents } from "./documents.js";
import { Home } from "./home.js";
import { Icon, Mark } from "./icons.js";
import { Menu } from "./menu.js";
import { Preview } from "./preview.js";
import { Providers } from "./providers.js";
import { conversationActions, Sidebar } from "./sidebar.js";
import { SetUp, SignIn } from "./sign-in.js";
import { Thread } from "./thread.js";
import { Uploads } from "./uploads.js";
import { Usage } from "./usage.js";
import { Viewer } from "./viewer.js";

export function Page() {
  const at = route.value;
  const state = sessionState.value;
  return html`
    <a class="skip-link" href="#main">Skip to the content</a>
    ${
      at.name === "setup" && state !== "in"
        ? html`<${SetUp} token=${at.token} />`
        : html`
            ${state === "out" ? html`<${SignIn} />` : null} ${state === "in" ? html`<${Inside} at=${at} />` : null}
            ${
              state === "unknown"
                ? html`<main id="main" class="door" aria-busy="true">
                    <div class="door-mark is-waiting"><${Mark} size=${56} /></div>
                  </main>`
                : null
            }
          `
    }
    <${DialogHost} />
    <${Toasts} />
    <div class="visually-hidden" role="status" aria-live="polite">${spoken.value}</div>
  `;
}

function Inside({ at }) {
  useEffect(() => {
    drawerOpen.value = false;
    panel.value = null;
  }, [at.name, at.id]);
  useEffect(() => {
    document.title = pageTitle(at);
  });
  const open = Boolean(panel.value);
  const classes = [
    "frame",
    sidebar.value === "closed" ? "no-sidebar" : "",
    drawerOpen.value ? "drawer-open" : "",
    open ? "has-panel" : "",
  ];
  return html`
    <div class=${classes.filter(Boolean).join(" ")}>
      <${Sidebar} />
      <div class="scrim" onClick=${() => (drawerOpen.value = false)}></div>
      <div class="content">
        <${TopBar} at=${at} />
        <main id="main" tabindex="-1">
          ${at.name === "conversation" ? html`<${Thread} id=${at.id} />` : null}
          ${at.name === "documents" ? html`<${Documents} id=${at.id} />` : null}
          ${at.name === "providers" ? html`<${Providers} />` : null}
          ${at.name === "usage" ? html`<${Usage} />` : null}
          ${["home", "setup"].includes(at.name) ? html`<${Home} />` : null}
        </main>
        <${Uploads} />
      </div>
      ${open ? html`<${Viewer} />` : null}
    </div>
    <${DropZone} />
    <${Preview} />
  `;
}

const TITLES = { documents: "Documents", providers: "Providers", usage: "Usage and limits" };

function pageTitle(at) {
  if (at.name === "conversation") return `${titleOf(conversation(at.id))} – Fireside`;
  return TITLES[at.name] ? `${TITLES[at.name]} – Fireside` : "Fireside";
}

function TopBar({ at }) {
  const item = at.name === "conversation" ? conversation(at.id) : null;
  return html`
    <header class="topbar">
      <button
        type="button"
        class="icon-button open-sidebar"
        aria-label="Open the menu"
        aria-controls="sidebar"
        aria-expanded=${drawerOpen.value}
        onClick=${() => {
          sidebar.value = "open";
          drawerOpen.value = true;
        }}
      >
        <${Icon} name="menu" />
      </button>
      <span class="topbar-title">${item ? titleOf(item) : ""}</span>
      ${item ? html`<${Menu} label="More for this conversation" items=${conversationActions(item, true)} />` : null}
      <a class="icon-button narrow-only" href="/" aria-label="New question" title="New question"
        ><${Icon} name="square-pen"
      /></a>
    </header>
  `;
}

const Toasts = () => html`
  <div class="toasts" role="status" aria-live="polite">
    ${toasts.value.map(
      (item) => html`
        <div key=${item.id} class=${`toast is-${item.kind}`}>
          <span>${item.text}</span>
          ${item.action ? html`<button type="button" class="link" onClick=${() => (dismiss(item.id), item.action.run())}>${item.action.label}</button>` : null}
          <button type="button" class="icon-button small" aria-label="Dismiss" onClick=${() => dismiss(item.id)}>
            <${Icon} name="x" size=${15} />
          </button>
        </div>
      `,
    )}
  </div>
`;
