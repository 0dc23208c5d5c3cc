/** A list of settings for administrators, with a form to add or change one, and a question before one is removed. */
import { html, useRef, useSignal } from "../html.js";
import { problem } from "../state/limits.js";
import { speak, toastError } from "../state/notices.js";
import { may } from "../state/session.js";
import { confirm } from "./dialog.js";
import { Icon } from "./icons.js";

/**
 * `kind` is the word for one of them ("limit"), `nameOf` tells them apart, `sentence` says one in a sentence, `line` draws it.
 * `Form` gets `item` (none to add one) and `onDone`; `remove` throws what speaks against it.
 */
export function EditableList({ title, kind, items, empty, nameOf, sentence, line, Form, remove, consequence }) {
  /** The name of the one that is being changed; "" for a new one, null for none. */
  const editing = useSignal(null);
  const part = useRef(null);
  const focus = (name) => {
    // the button is drawn once the form is gone
    requestAnimationFrame(() => part.current?.querySelector(`[data-item="${CSS.escape(name)}"]`)?.focus());
  };
  const done = (name) => {
    editing.value = null;
    focus(name);
  };
  const askAndRemove = async (item) => {
    const text = `${sentence(item)} ${consequence}`;
    if (!(await confirm({ title: `Remove this ${kind}?`, text, action: "Remove" }))) return;
    try {
      await remove(item);
      speak(`The ${kind} is removed.`);
    } catch (error) {
      toastError(error);
    }
    focus("");
  };
  const mayChange = may("admin:write");
  const id = `${kind}s-title`;
  return html`
    <section ref=${part} class="usage-part" aria-labelledby=${id}>
      <div class="documents-head">
        <h2 id=${id}>${title}</h2>
        ${
          mayChange && items && editing.value === null
            ? html`<button type="button" class="button primary" data-item="" onClick=${() => (editing.value = "")}>
                <${Icon} name="plus" /> Add a ${kind}
              </button>`
            : null
        }
      </div>
      ${editing.value === "" ? html`<${Form} onDone=${() => done("")} />` : null}
      ${list()}
    </section>
  `;

  function list() {
    if (!items) return problem.value ? null : html`<p role="status">Loading…</p>`;
    if (!items.length) return html`<p>${empty}</p>`;
    return html`<ul class="limit-list" aria-label=${title}>${items.map(one)}</ul>`;
  }

  function one(item) {
    const name = nameOf(item);
    if (editing.value === name) return html`<li key=${name}><${Form} item=${item} onDone=${() => done(name)} /></li>`;
    return html`
      <li key=${name} class="limit-line">
        <span class="limit-text">${line(item)}</span>
        ${
          mayChange
            ? html`<span class="button-row">
                <button type="button" class="button" data-item=${name} aria-label=${`Change: ${sentence(item)}`} onClick=${() => (editing.value = name)}>
                  <${Icon} name="pencil" size=${16} /> Change
                </button>
                <button type="button" class="button quiet" aria-label=${`Remove: ${sentence(item)}`} onClick=${() => askAndRemove(item)}>
                  Remove
                </button>
              </span>`
            : null
        }
      </li>
    `;
  }
}
