/** The providers of models for administrators: how each one does, adding, changing and trying them, and who answers. */
import { html, signal, useEffect } from "../html.js";
import {
  KINDS,
  loadProviders,
  problem,
  providers,
  removeProvider,
  saveProvider,
  bodyOf,
  testProvider,
  trials,
} from "../state/providers.js";
import { toastError } from "../state/notices.js";
import { may } from "../state/session.js";
import { ago, plural } from "../text/wording.js";
import { confirm } from "./dialog.js";
import { EmbeddingModels } from "./embedding-models.js";
import { Icon } from "./icons.js";
import { ProviderForm } from "./provider-form.js";
import { RoleChains } from "./role-chains.js";

const REFRESH_MS = 5000;
/** The name of the provider that is being changed; "" for a new one, null for none. */
const editing = signal(null);

const STATES = {
  closed: { label: "Well", look: "good" },
  half_open: { label: "Trying again", look: "waits" },
  open: { label: "Left alone", look: "bad" },
  off: { label: "Cannot be used", look: "bad" },
};

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
  const health = item.health[0];
  const state = stateOf(item, health);
  const kind = KINDS.find((known) => known.kind === item.kind)?.label ?? item.kind;
  return html`
    <li class="provider-card">
      <div class="provider-head">
        <h2>${item.name}</h2>
        <span class=${`provider-state is-${state.look ?? "off"}`}>${state.label}</span>
        ${item.fixed ? html`<span class="provider-fixed" title="Changed in FIRESIDE_INFERENCE_SERVERS">in the settings</span>` : null}
      </div>
      <p class="document-facts">${[kind, ...item.urls.map((url) => url.replace(/\/$/, ""))].join(" · ")}</p>
      <p class="provider-models">${item.models.join(", ")}</p>
      <dl class="provider-figures">
        ${figures(item, health).map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}
      </dl>
      ${
        health?.last_error
          ? html`<p class="provider-error">
              <${Icon} name="triangle-alert" size=${15} />
              <span>${health.last_error} ${health.last_error_at ? html`<small>${ago(health.last_error_at)}</small>` : null}</span>
            </p>`
          : null
      }
      <${Trial} name=${item.name} />
      ${may("admin:write") ? html`<${Actions} item=${item} />` : null}
    </li>
  `;
}

function stateOf(item, health) {
  if (!item.enabled) return { label: "Off" };
  const isNew = !health || (health.state === "closed" && !health.answers && !health.failures);
  return isNew ? { label: "Not asked yet", look: "waits" } : STATES[health.state];
}

function figures(item, health) {
  const found = [["Key", item.has_key ? (item.key_end ? `…${item.key_end}` : "set") : "none"]];
  if (!health) return found;
  found.push(["Answers", health.answers], ["Failures", health.failures]);
  if (health.first_word_ms !== null) found.push(["First word", `${Math.round(health.first_word_ms)} ms`]);
  if (health.tokens_per_s !== null) found.push(["Speed", `${health.tokens_per_s} tokens/s`]);
  if (health.running) found.push(["Running", health.running]);
  if (health.wait_s) found.push(["Asked again in", `${Math.ceil(health.wait_s)} s`]);
  for (const [model, wait] of Object.entries(health.resting)) {
    found.push([`Rate limit of ${model}`, `${Math.ceil(wait)} s left`]);
  }
  return found;
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
