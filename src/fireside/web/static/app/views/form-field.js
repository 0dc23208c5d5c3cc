/** A field of a form whose problem stands below it, and what a control needs to point at the problem. */
import { html, useEffect } from "../html.js";

export const Field = ({ id, label, hint, wrong, children }) => html`
  <div class="field">
    <label class="field"
      ><span>${label} ${hint ? html`<small>${hint}</small>` : null}</span>
      ${children}
    </label>
    ${wrong ? html`<small class="field-problem" id=${`${id}-problem`}>${wrong}</small>` : null}
  </div>
`;

export const stateOf = (id, wrong) => (wrong ? { "aria-invalid": "true", "aria-describedby": `${id}-problem` } : {});

/** Begin in the control that `first` selects, and go to the first one with a problem whenever there are new ones. */
export function useFocus(form, first, wrong) {
  useEffect(() => form.current.querySelector(first).focus(), []);
  useEffect(() => form.current.querySelector("[aria-invalid=true]")?.focus(), [wrong]);
}

export const valuesOf = (form) => Object.fromEntries([...new FormData(form)].map(([name, value]) => [name, value.trim()]));

export const SaveOrCancel = ({ problem, busy, onCancel }) => html`
  <p class="form-problem" role="alert">${problem ?? ""}</p>
  <div class="button-row">
    <button type="submit" class="button primary" disabled=${busy}>${busy ? "Saving…" : "Save"}</button>
    <button type="button" class="button quiet" onClick=${onCancel}>Cancel</button>
  </div>
`;
