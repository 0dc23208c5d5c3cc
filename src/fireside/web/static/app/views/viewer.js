/** The document panel: a document as it reads, the cited passage marked and in view, the other sources a key away. */
import { html, signal, useEffect, useLayoutEffect, useRef } from "../html.js";
import { documents as api } from "../api/endpoints.js";
import { describe } from "../api/problem.js";
import { closePanel, leaf, openSource, panel } from "../state/panel.js";
import { speak } from "../state/notices.js";
import { blockContent, renderBlocks } from "../text/markdown.js";
import { findLoosely, markBlocks, markRange, positionOf, slice } from "../text/passages.js";
import { ago, splitPath } from "../text/wording.js";
import { Icon } from "./icons.js";

// beyond this, Markdown would take the browser too long: the text is shown as it is
const RENDERED_CHARACTERS = 400_000;
const opened = signal(null);

export function Viewer() {
  const { documentId, source, sources } = panel.value;
  const frame = useRef(null);
  useEffect(() => {
    load(documentId);
  }, [documentId]);
  useEffect(() => frame.current.focus({ preventScroll: true }), []);
  const shown = opened.value?.id === documentId ? opened.value : null;
  const onKeyDown = (event) => {
    if (event.key === "ArrowRight") leaf(1);
    if (event.key === "ArrowLeft") leaf(-1);
  };
  const title = source?.title ?? shown?.facts?.title ?? "";
  return html`
    <section ref=${frame} class="viewer" tabindex="-1" aria-label=${`Document ${title}`} onKeyDown=${onKeyDown}>
      <header class="viewer-head">
        <div class="viewer-title">
          <h2>${title}</h2>
          <p>${placeOf(source, shown?.facts)}</p>
        </div>
        <button
          type="button"
          class="icon-button"
          aria-label="Close the document"
          title="Close (Esc)"
          onClick=${closePanel}
        >
          <${Icon} name="x" />
        </button>
      </header>
      ${sources.length > 1 ? html`<${SourceTabs} source=${source} sources=${sources} />` : null}
      ${shown?.problem ? html`<p class="thread-problem" role="alert"><${Icon} name="circle-alert" />${shown.problem}</p>` : null}
      ${shown?.text !== undefined ? html`<${DocumentText} key=${documentId} shown=${shown} source=${source} />` : null}
      ${shown ? null : html`<div class="thread-loading" role="status"><span class="visually-hidden">Loading the document</span><i></i><i></i><i></i></div>`}
    </section>
  `;
}

function placeOf(source, facts) {
  const path = source?.path ?? facts?.path ?? "";
  const time = source?.updated_at ?? facts?.updated_at;
  return [
    splitPath(path).folder,
    source?.heading,
    source?.page ? `page ${source.page}` : "",
    time ? `updated ${ago(time)}` : "",
  ]
    .filter(Boolean)
    .join(" · ");
}

const SourceTabs = ({ source, sources }) => html`
  <nav class="source-tabs" aria-label="Sources of the answer">
    ${sources.map(
      (other) => html`
        <button
          key=${other.n}
          type="button"
          class="cite"
          aria-label=${`Source ${other.n}: ${other.title}`}
          title=${other.title}
          aria-current=${other.chunk_id === source?.chunk_id ? "true" : null}
          onClick=${() => openSource(other, sources)}
        >
          ${other.n}
        </button>
      `,
    )}
  </nav>
`;

async function load(id) {
  if (opened.value?.id === id && !opened.value.problem) return;
  opened.value = null;
  try {
    const [content, facts] = await Promise.all([api.content(id), api.get(id).catch(() => null)]);
    opened.value = { id, text: content.text, facts: facts ?? content };
  } catch (error) {
    opened.value = {
      id,
      problem: error.status === 404 ? "This document is gone, or it is not yours to read." : describe(error),
    };
  }
}

function DocumentText({ shown, source }) {
  const body = useRef(null);
  const blocks = useRef([]);
  useLayoutEffect(() => {
    blocks.current = fill(body.current, shown);
  }, [shown]);
  useEffect(() => {
    let current = true;
    if (source)
      passageRange(source, shown).then((range) => current && showPassage(body.current, blocks.current, range));
    else body.current.scrollTop = 0;
    return () => {
      current = false;
    };
  }, [shown, source?.chunk_id]);
  return html`<div
    ref=${body}
    class="viewer-body prose document-text"
    tabindex="0"
    role="document"
    aria-label="Text of the document"
  ></div>`;
}

function fill(body, { text, facts }) {
  const asMarkdown = text.length <= RENDERED_CHARACTERS && !/^text\/plain/.test(facts?.media_type ?? "");
  const blocks = asMarkdown
    ? renderBlocks(text).map((block) => ({ ...block, element: blockElement(blockContent(block)) }))
    : [{ source: text, start: 0, end: text.length, element: plainElement(text) }];
  body.replaceChildren(...blocks.map((block) => block.element));
  return blocks;
}

function blockElement(content) {
  const element = document.createElement("div");
  element.className = "block";
  element.append(content);
  return element;
}

function plainElement(text) {
  const element = blockElement(text);
  element.className = "block plain";
  return element;
}

/** Where the passage stands in the text, in UTF-16 positions, and the quoted parts of it. */
async function passageRange(source, { id, text }) {
  let { start = 0, end = 0 } = source;
  if (!end) {
    const chunk = (await api.chunks(id).catch(() => [])).find((other) => other.chunk_id === source.chunk_id);
    if (chunk) ({ start, end } = chunk);
  }
  const quotes = (source.spans ?? []).map((span) => slice(source.text, span.start, span.end));
  if (!end) return { quotes: [source.text] };
  return { start: positionOf(text, start), end: positionOf(text, end), quotes };
}

function showPassage(body, blocks, { start, end, quotes }) {
  for (const mark of body.querySelectorAll("mark")) mark.replaceWith(...mark.childNodes);
  body.normalize();
  for (const { element } of blocks) element.classList.remove("in-passage");
  const within = blocks.filter((block) => start === undefined || (block.start < end && block.end > start));
  const marks = start === undefined ? [] : markBlocks(blocks, start, end, "passage");
  const strong = quotes.flatMap((quote) => markQuote(within, quote));
  const target = strong[0] ?? marks[0];
  if (!target) {
    speak("The passage could not be found in the document as it is now.");
    return;
  }
  const room = body.clientHeight * 0.25;
  body.scrollTop += target.getBoundingClientRect().top - body.getBoundingClientRect().top - room;
  target.classList.add("is-first");
  speak("The cited passage is highlighted.");
}

function markQuote(blocks, quote) {
  for (const { element } of blocks) {
    const found = findLoosely(element.textContent, quote);
    if (found) return markRange(element, ...found, "quoted");
  }
  return [];
}
