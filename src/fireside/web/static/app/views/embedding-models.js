/** Which embedding model documents are searched with, for administrators: a list, changing it, and how far that is. */
import { html, useEffect, useRef } from "../html.js";
import {
  cancelMove,
  choice,
  isMoving,
  loadEmbeddingModels,
  problem,
  refusal,
  useEmbeddingModel,
} from "../state/embedding-models.js";
import { may } from "../state/session.js";
import { amount, plural } from "../text/wording.js";
import { Icon } from "./icons.js";

const LOOK_MS = 1000;
const REST_MS = 10_000;

export function EmbeddingModels() {
  const part = useRef(null);
  const found = choice.value;
  const moving = isMoving(found);
  const settled = !moving && !found?.items.some((item) => item.index === "filling");
  useEffect(() => {
    loadEmbeddingModels();
    const timer = setInterval(() => document.hidden || loadEmbeddingModels(), settled ? REST_MS : LOOK_MS);
    return () => clearInterval(timer);
  }, [settled]);
  // the button that was pressed goes: whoever uses the keyboard goes on at the heading
  const withFocus = (ask) => async () => {
    await ask();
    part.current?.querySelector("h2").focus();
  };
  return html`
    <section ref=${part} class="embedding-models" aria-labelledby="embedding-title">
      <h2 id="embedding-title" tabindex="-1">Searching documents</h2>
      <p class="document-facts">
        The embedding model finds passages that are close to a question in meaning. Another one embeds every document anew,
        while people go on searching with the present one.
      </p>
      ${problem.value ? html`<p class="thread-problem" role="alert">${problem.value}</p>` : null}
      ${refusal.value ? html`<p class="form-problem" role="alert">${refusal.value}</p>` : null}
      ${found ? html`<${Move} found=${found} onCancel=${withFocus(cancelMove)} />` : null}
      ${found ? html`<${List} found=${found} moving=${moving} onUse=${(name) => withFocus(() => useEmbeddingModel(name))} />` : null}
      ${found || problem.value ? null : html`<p role="status">Loading…</p>`}
    </section>
  `;
}

function Move({ found, onCancel }) {
  const { job, wanted, serving } = found;
  if (!job || job.state === "succeeded") return null;
  if (!isMoving(found)) {
    const why = job.error ? `: ${job.error.message}` : ".";
    const now = serving ? ` Documents are searched with ${serving}, as before.` : " Documents are searched by words.";
    return html`<p class="provider-error">
      <${Icon} name="triangle-alert" size=${15} />
      <span>The change to ${wanted} ${job.state === "cancelled" ? "was cancelled" : "failed"}${why}${now}</span>
    </p>`;
  }
  const stage = [job.stage || "waiting to begin", job.detail].filter(Boolean).join(" · ");
  return html`
    <div class="embedding-move">
      <span><strong>Changing to ${wanted}: ${Math.floor(job.percent)} %</strong> <small>${stage}</small></span>
      <progress max="100" value=${job.percent} aria-label=${`Changing to ${wanted}`}></progress>
      ${job.error ? html`<p class="provider-error">It is tried again: ${job.error.message}</p>` : null}
      ${
        may("jobs:manage")
          ? html`<span><button type="button" class="button" disabled=${job.cancelling} onClick=${onCancel}>
              ${job.cancelling ? "Cancelling…" : "Cancel the change"}
            </button></span>`
          : null
      }
    </div>
  `;
}

const List = ({ found, moving, onUse }) => html`
  <ul class="limit-list" aria-label="Embedding models">
    ${found.items.map(
      (item) => html`
        <li key=${item.name} class="limit-line">
          <span class="limit-text">
            <strong>${item.name}</strong>${" "}
            <span class="provider-state ${item.index === "serving" ? "is-good" : "is-waits"}">${place(item, moving)}</span>
            <br /><small>${plural(item.dimensions, "dimension")} · reads ${amount(item.max_tokens)} tokens · version ${item.version}</small>
          </span>
          ${
            moving || item.index === "serving"
              ? null
              : html`<button type="button" class="button" aria-label=${`Use ${item.name} for searching`} onClick=${onUse(item.name)}>Use</button>`
          }
        </li>
      `,
    )}
  </ul>
`;

function place({ index, passages }, moving) {
  if (index === "none") return "";
  const state = index === "serving" ? "Searched with" : moving ? "Being filled" : "Given up, removed with the next change";
  return `${state}, ${plural(passages, "passage")}`;
}
