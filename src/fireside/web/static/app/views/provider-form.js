/** The form of one provider: a new one, or one that is changed. A key that is there is never shown again. */
import { html, useEffect, useRef, useState } from "../html.js";
import { describe } from "../api/problem.js";
import { bodyOf, KINDS, saveProvider, testProvider } from "../state/providers.js";

export function ProviderForm({ provider, onDone }) {
  const [kind, setKind] = useState(provider?.kind ?? "openai");
  const [said, setSaid] = useState({ text: "", good: false });
  const [busy, setBusy] = useState(false);
  const form = useRef(null);
  useEffect(() => form.current?.querySelector(provider ? "[name=urls]" : "[name=kind]").focus(), []);
  const preset = KINDS.find((known) => known.kind === kind);

  const work = (doing) => async (event) => {
    event.preventDefault();
    if (!form.current.reportValidity()) return;
    setBusy(true);
    setSaid({ text: "", good: false });
    try {
      await doing(read(form.current, kind, provider));
    } catch (error) {
      setSaid({ text: describe(error), good: false });
    }
    setBusy(false);
  };
  const save = work(async (body) => {
    await saveProvider(body);
    onDone();
  });
  const test = work(async (body) => {
    const found = await testProvider(body);
    setSaid({ text: found.ok ? `It answers. Models: ${found.models.join(", ")}. ${found.problem}` : found.problem, good: found.ok });
  });
  return html`
    <form ref=${form} class="provider-card provider-form" aria-label=${provider ? `Change ${provider.name}` : "Add a provider"} onSubmit=${save}>
      <div class="provider-fields">
        <label class="field"><span>Kind</span>
          <select name="kind" value=${kind} onChange=${(event) => setKind(event.target.value)}>
            ${KINDS.map((known) => html`<option value=${known.kind}>${known.label}</option>`)}
          </select>
        </label>
        <label class="field"><span>Name</span>
          <input name="name" required maxlength="50" pattern="[a-zA-Z0-9][a-zA-Z0-9._\\-]*" title="Letters, digits, . _ and -"
            readonly=${Boolean(provider)} defaultValue=${provider?.name ?? ""} placeholder=${kind} autocomplete="off" />
        </label>
        <label class="field wide"><span>Address <small>several of equals with a space between, without /v1</small></span>
          <input name="urls" required=${!preset.url} inputmode="url" autocomplete="off" spellcheck="false"
            defaultValue=${provider?.urls.join(" ") ?? ""} placeholder=${preset.url || "https://…"} />
        </label>
        <label class="field wide"><span>Key <small>${provider?.has_key ? `one is set${provider.key_end ? `, …${provider.key_end}` : ""}; empty keeps it` : "empty for none"}</small></span>
          <input name="key" type="password" autocomplete="new-password" spellcheck="false" maxlength="4000" />
        </label>
        <label class="field wide"><span>Models <small>empty for all that it lists</small></span>
          <input name="models" autocomplete="off" spellcheck="false" defaultValue=${provider?.models.join(", ") ?? ""} />
        </label>
        <label class="field"><span>First word within, s</span>
          <input name="first_word_s" type="number" min="1" max="3600" step="any" required defaultValue=${provider?.first_word_s ?? 45} />
        </label>
        <label class="field"><span>Answer within, s</span>
          <input name="answer_s" type="number" min="1" max="86400" step="any" required defaultValue=${provider?.answer_s ?? 300} />
        </label>
        <label class="field"><span>Window, tokens</span>
          <input name="context_tokens" type="number" min="256" required defaultValue=${provider?.context_tokens ?? 32768} />
        </label>
        <label class="field"><span>At once <small>empty for any number</small></span>
          <input name="parallel" type="number" min="1" max="10000" defaultValue=${provider?.parallel ?? ""} />
        </label>
      </div>
      <p class=${said.good ? "provider-trial is-good" : "form-problem"} role="status">${said.text}</p>
      <div class="button-row">
        <button type="submit" class="button primary" disabled=${busy}>${busy ? "Asking…" : "Save"}</button>
        <button type="button" class="button" disabled=${busy} onClick=${test}>Test</button>
        <button type="button" class="button quiet" onClick=${onDone}>Cancel</button>
      </div>
    </form>
  `;
}

function read(form, kind, provider) {
  const text = (name) => form.elements[name].value.trim();
  const body = {
    ...(provider ? bodyOf(provider) : {}),
    kind,
    name: text("name"),
    urls: text("urls").split(/\s+/).filter(Boolean),
    models: text("models").split(",").map((name) => name.trim()).filter(Boolean),
    first_word_s: Number(text("first_word_s")),
    answer_s: Number(text("answer_s")),
    context_tokens: Number(text("context_tokens")),
    parallel: text("parallel") ? Number(text("parallel")) : null,
  };
  return text("key") ? { ...body, key: text("key") } : body;
}
