/** Where questions are written: the field, the choice of mode and model, adding documents, send and stop. */
import { html, signal, useEffect, useRef } from "../html.js";
import { models } from "../api/endpoints.js";
import { mode, model } from "../state/preferences.js";
import { ask, conversationId, path, running, stop } from "../state/thread.js";
import { AddDocuments } from "./add-documents.js";
import { Icon } from "./icons.js";

const MODES = [
  ["auto", "Auto"],
  ["company", "Documents only"],
  ["general", "General"],
];
const MODE_NOTES = {
  auto: "Looks into the documents when the question is about them",
  company: "Answers from the documents alone, and says so when they do not tell",
  general: "Answers without the documents",
};

const modelChoices = signal([]);
const written = signal("");
const draftName = () => `fireside.draft.${conversationId.value ?? "new"}`;

export function Composer({ placeholder = "Ask your documents…", autofocus = true }) {
  const field = useRef(null);
  const id = conversationId.value;
  useEffect(() => {
    write(field.current, sessionStorage.getItem(draftName()) ?? "");
    if (autofocus && matchMedia("(hover: hover)").matches) field.current.focus();
  }, [id]);
  useEffect(() => {
    models.list().then(
      (page) => (modelChoices.value = chatModels(page)),
      () => {},
    );
  }, []);

  const send = async () => {
    const text = field.current.value.trim();
    if (!text || running.value) return;
    write(field.current, "");
    sessionStorage.removeItem(draftName());
    if (!(await ask(text)) && field.current) write(field.current, text);
  };
  const onKeyDown = (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      send();
    }
    if (event.key === "ArrowUp" && !event.target.value && path.value.length) {
      event.preventDefault();
      document
        .querySelectorAll("[data-edit]")
        .item(document.querySelectorAll("[data-edit]").length - 1)
        ?.click();
    }
  };
  const onInput = () => {
    write(field.current);
    sessionStorage.setItem(draftName(), field.current.value);
  };
  return html`
    <form
      class=${`composer ${running.value ? "is-running" : ""}`}
      onSubmit=${(event) => (event.preventDefault(), send())}
    >
      <label class="visually-hidden" for="question">Your question</label>
      <textarea
        ref=${field}
        id="question"
        rows="1"
        placeholder=${placeholder}
        onKeyDown=${onKeyDown}
        onInput=${onInput}
        maxlength="20000"
        enterkeyhint="send"
      ></textarea>
      <div class="composer-row">
        <${AddDocuments} compact />
        <${Choice} label="Answer from" value=${mode} options=${MODES} note=${MODE_NOTES[mode.value]} />
        ${
          modelChoices.value.length > 1
            ? html` <${Choice}
                label="Model"
                value=${model}
                options=${[["", "Default model"], ...modelChoices.value]}
              />`
            : null
        }
        <span class="composer-space"></span>
        ${
          running.value
            ? html` <button
                type="button"
                class="send-button stop"
                onClick=${stop}
                aria-label="Stop the answer"
                title="Stop (Esc)"
              >
                <${Icon} name="square" size=${15} />
              </button>`
            : html` <button
                type="submit"
                class="send-button"
                disabled=${!written.value.trim()}
                aria-label="Send the question"
                title="Send (Enter)"
              >
                <${Icon} name="arrow-up" size=${20} />
              </button>`
        }
      </div>
    </form>
  `;
}

function Choice({ label, value, options, note }) {
  return html`
    <span class="choice" title=${note ?? label}>
      <select aria-label=${label} value=${value.value} onChange=${(event) => (value.value = event.target.value)}>
        ${options.map(([key, words]) => html`<option key=${key} value=${key} selected=${key === value.value}>${words}</option>`)}
      </select>
      <${Icon} name="chevron-down" size=${14} />
    </span>
  `;
}

// models that only embed or rerank, or that no engine has loaded, cannot be asked
function chatModels(page) {
  const items = page?.items ?? [];
  const asked = items.filter(
    (item) => !(item.tags ?? []).some((tag) => ["embed", "embedding", "rerank"].includes(tag)),
  );
  const loaded = ["ready", "loading", "remote"];
  const names = asked.filter((item) => loaded.includes(item.state)).map((item) => item.name ?? item.id);
  if (model.value && !names.includes(model.value)) model.value = "";
  return names.map((name) => [name, name]);
}

// the field grows with its text up to the height that CSS allows
function write(field, text = field.value) {
  if (field.value !== text) field.value = text;
  written.value = text;
  field.style.height = "auto";
  field.style.height = `${field.scrollHeight}px`;
}
