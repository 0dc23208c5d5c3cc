/** The providers of models for administrators: how each one does, adding, changing and trying them, and who answers. */
import { html, signal, useEffect } from "../html.js";
import {
  KINDS,
  loadProviders,
  problem,
  providers,
  removeProvider,
  saveProvider,
  silent,
  bodyOf,
  testProvider,
  trials,
} from "../state/providers.js";
import { toastError } from "../state/notices.js";
import { may } from "../state/session.js";
import { plural } from "../text/wording.js";
import { confirm } from "./dialog.js";
import { EmbeddingModels } from "./embedding-models.js";
import { Icon } from "./icons.js";
import { ProviderForm } from "./provider-form.js";
import { ProviderHealth, ProviderState } from "./provider-health.js";
import { RoleChains } from "./role-chains.js";

const REFRESH_MS = 5000;
/** The name of the provider that is being changed; "" for a new one, null for none. */
const editing = signal(null);

export function Providers() {
  useEffect(() => {
    loadProviders();
    const timer = setInterval(() => document.hidden || editing.value !== null || loadProviders(), REFRESH_MS);
    return () => (clearInterval(timer), (editing.value = null));
  }, []);
  const list = providers.value;
  const done = () => (editing.value = null);
  return html`
    <div class="documents providers">
      <div class="documents-column">
        <header class="documents-head">
          <h1>Providers of models</h1>
          ${
            may("admin:write")
              ? html`<button type="button" class="button primary" onClick=${() => (editing.value = "")}>
                  <${Icon} name="plus" /> Add a provider
                </button>`
              : null
          }
        </header>
        ${problem.value ? html`<p class="thread-problem" role="alert">${problem.value}</p>` : null}
        ${
          silent.value.length
            ? html`<p class="provider-silent" role="status">
                No answer from ${silent.value.join(", ")}: how providers do there is not shown.
              </p>`
            : null
        }
        ${editing.value === "" ? html`<${ProviderForm} onDone=${done} />` : null}
        ${list ? html`<${ProviderList} list=${list} onDone=${done} />` : html`<p class="list-empty" role="status">Loading…</p>`}
        ${list ? html`<${RoleChains} />` : null}
        ${may("models:manage") ? html`<${EmbeddingModels} />` : null}
      </div>
    </div>
  `;
}

function ProviderList({ list, onDone }) {
  if (!list.length && editing.value === null) {
    return html`<p class="list-empty">
      No provider yet: the engine inside Fireside answers. Add one to ask models that run elsewhere.
    </p>`;
  }
  return html`<ul class="provider-list">
    ${list.map((item) =>
      editing.value === item.name
        ? html`<li key=${item.name}><${ProviderForm} provider=${item} onDone=${onDone} /></li>`
        : html`<${ProviderCard} key=${item.name} item=${item} />`,
    )}
  </ul>`;
}

function ProviderCard({ item }) {
  const kind = KINDS.find((known) => known.kind === item.kind)?.label ?? item.kind;
  return html`
    <li class="provider-card">
      <div class="provider-head">
        <h2>${item.name}</h2>
        <${ProviderState} item=${item} />
        ${item.fixed ? html`<span class="provider-fixed" title="Changed in FIRESIDE_INFERENCE_SERVERS">in the settings</span>` : null}
      </div>
      <p class="document-facts">${[kind, ...item.urls.map((url) => url.replace(/\/$/, ""))].join(" · ")}</p>
      <p class="provider-models">${item.models.join(", ")}</p>
      <${ProviderHealth} item=${item} />
      <${Trial} name=${item.name} />
      ${may("admin:write") ? html`<${Actions} item=${item} />` : null}
    </li>
  `;
}

function Trial({ name }) {
  const trial = trials.value[name];
  if (!trial) return null;
  if (trial.running) return html`<p class="provider-trial" role="status">Asking for its models…</p>`;
  const text = trial.ok
    ? `Answers in ${Math.round(trial.elapsed_ms)} ms with ${plural(trial.models.length, "model")}. ${trial.problem}`
    : trial.problem;
  return html`<p class=${`provider-trial ${trial.ok ? "is-good" : "is-bad"}`} role="status">${text}</p>`;
}

function Actions({ item }) {
  const remove = async () => {
    const text = `Its key is deleted too. Roles go on to the next of their models.`;
    if (await confirm({ title: `Remove ${item.name}?`, text, action: "Remove" })) removeProvider(item.name);
  };
  const turn = () => saveProvider({ ...bodyOf(item), enabled: !item.enabled }).catch(toastError);
  const test = html`<button type="button" class="button" onClick=${() => testProvider(item)}>
    <${Icon} name="rotate-ccw" size=${16} /> Test
  </button>`;
  if (item.fixed) return html`<div class="button-row">${test}</div>`;
  return html`<div class="button-row">
    ${test}
    <button type="button" class="button" onClick=${() => (editing.value = item.name)}>
      <${Icon} name="pencil" size=${16} /> Change
    </button>
    <button type="button" class="button quiet" onClick=${turn}>${item.enabled ? "Turn off" : "Turn on"}</button>
    <button type="button" class="button quiet" onClick=${remove}>Remove</button>
  </div>`;
}
