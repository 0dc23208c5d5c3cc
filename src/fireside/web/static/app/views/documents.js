/** The documents: how each one stands, adding and deleting, and searching their passages. */
import { html, signal, useEffect } from "../html.js";
import { documents as api } from "../api/endpoints.js";
import { describe, isAbort } from "../api/problem.js";
import { deleteDocument, documents, hasMore, loadDocuments, loadMoreDocuments, problem } from "../state/documents.js";
import { openDocument, openSource } from "../state/panel.js";
import { ago, bytes, DOCUMENT_STATES, plural, splitPath } from "../text/wording.js";
import { AddDocuments } from "./add-documents.js";
import { confirm } from "./dialog.js";
import { Icon } from "./icons.js";
import { moveFocus } from "./menu.js";
import { excerpt } from "./preview.js";

const words = signal("");
const found = signal(null);
const searchProblem = signal("");

export function Documents({ id }) {
  useEffect(() => {
    loadDocuments();
  }, []);
  useEffect(() => {
    if (id) openDocument(id);
  }, [id]);
  return html`
    <div class="documents">
      <div class="documents-column">
        <header class="documents-head">
          <h1>Documents</h1>
          <div class="button-row"><${AddDocuments} /></div>
        </header>
        <div class="search-field large">
          <${Icon} name="search" size=${18} />
          <input
            type="search"
            placeholder="Search inside the documents"
            aria-label="Search inside the documents"
            value=${words.value}
            onInput=${search}
          />
        </div>
        ${words.value.trim() ? html`<${Found} />` : html`<${DocumentList} />`}
      </div>
    </div>
  `;
}

let pause = null;
let running = null;

function search(event) {
  words.value = event.target.value;
  clearTimeout(pause);
  running?.abort();
  if (words.value.trim()) pause = setTimeout(runSearch, 250);
  else found.value = null;
}

async function runSearch() {
  running = new AbortController();
  try {
    found.value = (await api.search(words.value.trim(), running.signal)).items;
    searchProblem.value = "";
  } catch (error) {
    if (!isAbort(error)) searchProblem.value = describe(error);
  }
}

function Found() {
  if (searchProblem.value) return html`<p class="thread-problem" role="alert">${searchProblem.value}</p>`;
  const items = found.value;
  if (!items) return html`<p class="list-empty" role="status">Searching…</p>`;
  if (!items.length) return html`<p class="list-empty" role="status">No passage found for “${words.value.trim()}”.</p>`;
  return html`
    <p class="visually-hidden" role="status">${plural(items.length, "passage")} found</p>
    <ol class="found" onKeyDown=${moveFocus}>
      ${items.map(
        (item) => html`
          <li key=${item.chunk_id}>
            <button type="button" class="found-item" onClick=${(event) => openSource(item, [], event.currentTarget)}>
              <span class="found-title">${item.title}</span>
              <span class="source-place"
                >${[item.heading, item.page ? `page ${item.page}` : ""].filter(Boolean).join(" · ")}</span
              >
              <span class="found-text">${excerpt(item)}</span>
            </button>
          </li>
        `,
      )}
    </ol>
  `;
}

function DocumentList() {
  const list = documents.value;
  if (problem.value)
    return html`<p class="thread-problem" role="alert">
      ${problem.value} <button type="button" class="link" onClick=${loadDocuments}>Try again</button>
    </p>`;
  if (!list) return html`<p class="list-empty" role="status">Loading…</p>`;
  if (!list.length) {
    return html` <div class="first-drop">
      <${Icon} name="upload" size=${30} />
      <p>
        <strong>No documents yet</strong><br /><span class="pointer-only"
          >Drop files or a whole folder on this page, or choose them above.</span
        ><span class="touch-only">Choose some above.</span>
      </p>
    </div>`;
  }
  return html`
    <ul class="document-list" onKeyDown=${(event) => moveFocus(event, { selector: ".document-open" })}>
      ${list.map((item) => html`<${DocumentLine} key=${item.id} item=${item} />`)}
    </ul>
    ${hasMore.value ? html`<button type="button" class="button wide" onClick=${loadMoreDocuments}>Show more</button>` : null}
  `;
}

function DocumentLine({ item }) {
  const { folder, name } = splitPath(item.path || item.title);
  const facts = [folder || name, item.bytes ? bytes(item.bytes) : "", ago(item.updated_at ?? item.created_at)].filter(
    Boolean,
  );
  const remove = async () => {
    const sure = await confirm({
      title: "Delete this document?",
      text: `“${item.title}” and everything read from it will be deleted. Answers that cite it keep their text.`,
      action: "Delete",
    });
    if (sure) deleteDocument(item.id);
  };
  return html`
    <li class="document-line">
      <${Icon} name="file-text" />
      <button
        type="button"
        class="document-open"
        disabled=${item.state !== "indexed"}
        onClick=${(event) => openDocument(item.id, event.currentTarget)}
      >
        <span class="document-title">${item.title || name}</span>
        <span class="document-facts">${facts.join(" · ")}</span>
        ${item.reason ? html`<span class="document-reason">${item.reason}</span>` : null}
      </button>
      <span class=${`state-chip is-${item.state}`}>${DOCUMENT_STATES[item.state] ?? item.state}</span>
      <button
        type="button"
        class="icon-button small"
        aria-label=${`Delete ${item.title || name}`}
        title="Delete"
        onClick=${remove}
      >
        <${Icon} name="trash-2" size=${16} />
      </button>
    </li>
  `;
}
