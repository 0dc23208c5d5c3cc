/** The limits of everybody, for administrators: a list, and a form to add or change one. */
import { html, useEffect, useRef, useSignal } from "../html.js";
import { limits, loadLimits, loadOffers, nameOf, problem, removeLimit, whose, wording } from "../state/limits.js";
import { speak, toastError } from "../state/notices.js";
import { may } from "../state/session.js";
import { confirm } from "./dialog.js";
import { Icon } from "./icons.js";
import { LimitForm } from "./limit-form.js";

export function LimitsOfEverybody() {
  /** The name of the limit that is being changed; "" for a new one, null for none. */
  const editing = useSignal(null);
  const part = useRef(null);
  useEffect(() => {
    loadLimits();
    loadOffers();
  }, []);
  const focus = (name) => {
    // the button is drawn once the form is gone
    requestAnimationFrame(() => part.current?.querySelector(`[data-limit="${CSS.escape(name)}"]`)?.focus());
  };
  const done = (name) => {
    editing.value = null;
    focus(name);
  };
  const remove = async (limit) => {
    const text = `${sentence(limit)} From now on it does not hold.`;
    if (!(await confirm({ title: "Remove this limit?", text, action: "Remove" }))) return;
    try {
      await removeLimit(limit);
      speak("The limit is removed.");
    } catch (error) {
      toastError(error);
    }
    focus("");
  };
  const mayChange = may("admin:write");
  return html`
    <section ref=${part} class="usage-part" aria-labelledby="limits-title">
      <div class="documents-head">
        <h2 id="limits-title">Limits of everybody</h2>
        ${
          mayChange && limits.value && editing.value === null
            ? html`<button type="button" class="button primary" data-limit="" onClick=${() => (editing.value = "")}>
                <${Icon} name="plus" /> Add a limit
              </button>`
            : null
        }
      </div>
      ${problem.value ? html`<p class="thread-problem" role="alert">${problem.value}</p>` : null}
      ${editing.value === "" ? html`<${LimitForm} onDone=${() => done("")} />` : null}
      <${List} editing=${editing} mayChange=${mayChange} onDone=${done} onRemove=${remove} />
    </section>
  `;
}

function List({ editing, mayChange, onDone, onRemove }) {
  if (!limits.value) return problem.value ? null : html`<p role="status">Loading…</p>`;
  if (!limits.value.length) return html`<p>There are no limits: everybody may use as much as they like.</p>`;
  return html`
    <ul class="limit-list" aria-label="Limits of everybody">
      ${limits.value.map((limit) => {
        const name = nameOf(limit);
        if (editing.value === name) {
          return html`<li key=${name}><${LimitForm} limit=${limit} onDone=${() => onDone(name)} /></li>`;
        }
        return html`
          <li key=${name} class="limit-line">
            <span class="limit-text"><strong>${wording(limit)}</strong> <span>for ${whose(limit)}</span></span>
            ${
              mayChange
                ? html`<span class="button-row">
                    <button type="button" class="button" data-limit=${name} aria-label=${`Change: ${sentence(limit)}`} onClick=${() => (editing.value = name)}>
                      <${Icon} name="pencil" size=${16} /> Change
                    </button>
                    <button type="button" class="button quiet" aria-label=${`Remove: ${sentence(limit)}`} onClick=${() => onRemove(limit)}>
                      Remove
                    </button>
                  </span>`
                : null
            }
          </li>
        `;
      })}
    </ul>
  `;
}

const sentence = (limit) => `${wording(limit)} for ${whose(limit)}.`;
