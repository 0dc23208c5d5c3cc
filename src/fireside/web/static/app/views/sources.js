/** The sources of an answer: the passages its text cites, and on demand the others that were found. */
import { html, useSignal } from "../html.js";
import { openSource, panel } from "../state/panel.js";
import { ago, plural } from "../text/wording.js";

export function SourceList({ message }) {
  const all = useSignal(false);
  const sources = message.sources.value;
  if (!sources.length || message.outcome.value?.mode === "general") return null;
  const cited = sources.filter((source) => citedIn(message.content.value, source.n));
  const rest = sources.length - cited.length;
  const shown = all.value ? sources : cited;
  return html`
    <section class="sources" aria-label="Sources of this answer">
      <ol>
        ${shown.map((source) => html`<${SourceCard} key=${source.n} source=${source} sources=${sources} quiet=${!cited.includes(source)} />`)}
      </ol>
      ${
        rest
          ? html` <button
              type="button"
              class="link small"
              aria-expanded=${all.value}
              onClick=${() => (all.value = !all.value)}
            >
              ${all.value ? "Show only what is cited" : `${plural(rest, "more passage")} found${cited.length ? "" : ", none cited"}`}
            </button>`
          : null
      }
    </section>
  `;
}

const citedIn = (text, n) => new RegExp(`\\[(\\d+\\s*,\\s*)*${n}(\\s*,\\s*\\d+)*\\]`).test(text);

function SourceCard({ source, sources, quiet }) {
  const open = panel.value?.source?.chunk_id === source.chunk_id;
  const place = [
    source.heading === source.title ? "" : source.heading,
    source.page ? `page ${source.page}` : "",
    source.updated_at ? ago(source.updated_at) : "",
  ];
  return html`
    <li>
      <button
        type="button"
        class=${`source-card ${quiet ? "quiet" : ""}`}
        aria-current=${open ? "true" : null}
        onClick=${(event) => openSource(source, sources, event.currentTarget)}
      >
        <span class="cite" aria-hidden="true">${source.n}</span>
        <span class="source-words">
          <span class="source-title"><span class="visually-hidden">Source ${source.n}: </span>${source.title}</span>
          <span class="source-place">${place.filter(Boolean).join(" · ")}</span>
        </span>
      </button>
    </li>
  `;
}
