/** A question as it was asked, and its editing into a branch. */
import { html, useEffect, useRef, useSignal } from "../html.js";
import { edit, running } from "../state/thread.js";
import { toast } from "../state/notices.js";
import { Branches } from "./branches.js";
import { Icon } from "./icons.js";

export function Question({ message, fork }) {
  const editing = useSignal(false);
  if (editing.value) return html`<${QuestionEditor} message=${message} done=${() => (editing.value = false)} />`;
  return html`
    <div class="question">
      <h2 class="question-text">${message.content.value}</h2>
      <div class="question-actions">
        <${Branches} message=${message} fork=${fork} what="question" />
        <button
          type="button"
          class="icon-button small"
          aria-label="Copy the question"
          title="Copy"
          onClick=${() => copy(message.content.value)}
        >
          <${Icon} name="copy" size=${15} />
        </button>
        <button
          type="button"
          class="icon-button small"
          data-edit
          aria-label="Edit the question"
          title="Edit and ask again"
          disabled=${Boolean(running.value)}
          onClick=${() => (editing.value = true)}
        >
          <${Icon} name="pencil" size=${15} />
        </button>
      </div>
    </div>
  `;
}

function QuestionEditor({ message, done }) {
  const field = useRef(null);
  useEffect(() => {
    field.current.value = message.content.value;
    field.current.focus();
    field.current.setSelectionRange(field.current.value.length, field.current.value.length);
  }, []);
  const submit = (event) => {
    event.preventDefault();
    const text = field.current.value.trim();
    if (!text) return;
    done();
    edit(message, text);
  };
  const onKeyDown = (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) submit(event);
    if (event.key === "Escape") {
      event.preventDefault();
      done();
      document.querySelector("#question")?.focus();
    }
  };
  return html`
    <form class="question-editor" onSubmit=${submit}>
      <textarea
        ref=${field}
        rows="3"
        aria-label="Edit the question"
        maxlength="20000"
        onKeyDown=${onKeyDown}
      ></textarea>
      <div class="dialog-actions">
        <small>The first wording stays, as a branch.</small>
        <button type="button" class="button quiet" onClick=${done}>Cancel</button>
        <button type="submit" class="button primary">Ask again</button>
      </div>
    </form>
  `;
}

/** Copy text to the clipboard, which plain http addresses do not have. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    toast("Copied");
  } catch {
    toast("This browser does not allow copying here. Select the text instead.");
  }
}
