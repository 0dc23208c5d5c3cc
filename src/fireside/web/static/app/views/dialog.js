/** Modal dialogs: one at a time, opened from anywhere, closed by Escape, a button or a click beside it. */
import { html, signal, useEffect, useRef } from "../html.js";

const current = signal(null);

/** Ask before something that cannot be taken back; resolves to true when confirmed. */
export function confirm({ title, text, action }) {
  return new Promise((resolve) => {
    current.value = { title, body: text, action, danger: true, resolve };
  });
}

/** Ask for one line of text; resolves to it, or to null. */
export function prompt({ title, label, value, action }) {
  return new Promise((resolve) => {
    current.value = { title, field: { label, value }, action, resolve };
  });
}

/** Show something to read. */
export function show({ title, body }) {
  current.value = { title, body, resolve: () => {} };
}

export function DialogHost() {
  const dialog = current.value;
  return dialog ? html`<${Dialog} key=${dialog.title} dialog=${dialog} />` : null;
}

function Dialog({ dialog }) {
  const element = useRef(null);
  const input = useRef(null);
  useEffect(() => {
    element.current.showModal();
    input.current?.select();
  }, []);
  const close = (answer) => {
    current.value = null;
    dialog.resolve(answer);
  };
  const submit = (event) => {
    event.preventDefault();
    const text = input.current?.value.trim();
    if (dialog.field && !text) return;
    close(dialog.field ? text : true);
  };
  const nothing = dialog.field ? null : false;
  return html`
    <dialog
      ref=${element}
      class="dialog"
      aria-labelledby="dialog-title"
      onClose=${() => current.value === dialog && close(nothing)}
      onClick=${(event) => event.target === element.current && close(nothing)}
    >
      <form class="dialog-body" onSubmit=${submit}>
        <h2 id="dialog-title">${dialog.title}</h2>
        ${dialog.body ? html`<div class="dialog-text">${dialog.body}</div>` : null}
        ${
          dialog.field
            ? html` <label class="field"
                ><span>${dialog.field.label}</span>
                <input ref=${input} type="text" maxlength="200" value=${dialog.field.value} autofocus
              /></label>`
            : null
        }
        <div class="dialog-actions">
          <button type="button" class="button quiet" onClick=${() => close(nothing)}>
            ${dialog.action ? "Cancel" : "Close"}
          </button>
          ${dialog.action ? html`<button type="submit" class=${`button ${dialog.danger ? "danger" : "primary"}`}>${dialog.action}</button>` : null}
        </div>
      </form>
    </dialog>
  `;
}
