/** How a provider does: its figures, and where several nodes ask it how each of them finds it. */
import { html } from "../html.js";
import { ago } from "../text/wording.js";
import { Icon } from "./icons.js";

const STATES = {
  closed: { label: "Well", look: "good" },
  half_open: { label: "Trying again", look: "waits" },
  open: { label: "Left alone", look: "bad" },
  off: { label: "Cannot be used", look: "bad" },
};

/** The state of a provider: the worst in which a node finds it. */
export function ProviderState({ item }) {
  return html`<${State} state=${item.enabled ? stateOf(together(item)) : { label: "Off" }} />`;
}

/** Its figures, all nodes together, and beneath them what each node says. */
export function ProviderHealth({ item }) {
  const nodes = item.health;
  const key = item.has_key ? (item.key_end ? `…${item.key_end}` : "set") : "none";
  return html`
    <${Figures} found=${[["Key", key], ...figures(together(item))]} />
    ${nodes.length > 1 ? html`<${Nodes} nodes=${nodes} />` : html`<${Failure} health=${nodes[0]} />`}
  `;
}

function Nodes({ nodes }) {
  const differ = new Set(nodes.map((node) => node.state)).size > 1;
  return html`<details class="provider-nodes" open=${differ}>
    <summary>As each of ${nodes.length} nodes finds it</summary>
    <ul>
      ${nodes.map(
        (node) => html`<li key=${node.node_id}>
          <div class="provider-head">
            <h3>${node.node_id}</h3>
            <${State} state=${stateOf(node)} />
          </div>
          <${Figures} found=${figures(node)} />
          <${Failure} health=${node} />
        </li>`,
      )}
    </ul>
  </details>`;
}

function State({ state }) {
  return html`<span class=${`provider-state is-${state.look ?? "off"}`}>${state.label}</span>`;
}

function Figures({ found }) {
  return html`<dl class="provider-figures">
    ${found.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}
  </dl>`;
}

function Failure({ health }) {
  if (!health?.last_error) return null;
  return html`<p class="provider-error">
    <${Icon} name="triangle-alert" size=${15} />
    <span>${health.last_error} ${health.last_error_at ? html`<small>${ago(health.last_error_at)}</small>` : null}</span>
  </p>`;
}

/** What all nodes say, as one: the worst state, and sums. */
function together(item) {
  if (item.health.length <= 1) return item.health[0];
  const sum = (name) => item.health.reduce((total, node) => total + node[name], 0);
  const counted = { answers: sum("answers"), failures: sum("failures"), running: sum("running") };
  return { state: item.state, ...counted, first_word_ms: null, tokens_per_s: null, left_alone: [], resting: {} };
}

function stateOf(health) {
  const isNew = !health || (health.state === "closed" && !health.answers && !health.failures);
  if (isNew) return { label: "Not asked yet", look: "waits" };
  const isPart = health.state === "open" && health.left_alone.length && !health.wait_s;
  return isPart ? { label: "Partly left alone", look: "bad" } : STATES[health.state];
}

function figures(health) {
  if (!health) return [];
  const found = [["Answers", health.answers], ["Failures", health.failures]];
  if (health.first_word_ms !== null) found.push(["First word", `${Math.round(health.first_word_ms)} ms`]);
  if (health.tokens_per_s !== null) found.push(["Speed", `${health.tokens_per_s} tokens/s`]);
  if (health.running) found.push(["Running", health.running]);
  if (health.wait_s) found.push(["Asked again in", `${Math.ceil(health.wait_s)} s`]);
  if (health.left_alone.length) found.push(["Addresses left alone", health.left_alone.join(", ")]);
  for (const [model, wait] of Object.entries(health.resting)) {
    found.push([`Rate limit of ${model}`, `${Math.ceil(wait)} s left`]);
  }
  return found;
}
