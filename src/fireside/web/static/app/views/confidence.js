/** How sure an answer is and why, in words; general answers say that no document stands behind them. */
import { html, useSignal } from "../html.js";
import { confidenceLevel } from "../text/wording.js";
import { Icon } from "./icons.js";

/** Whether the documents were asked and do not support the answer. */
export function isUnsupported(message) {
  return message.quality.value?.grounded === "unsupported" && message.outcome.value?.mode !== "general";
}

export function Confidence({ message }) {
  const open = useSignal(false);
  const outcome = message.outcome.value;
  if (!outcome || outcome.confidence === null) return html`<span></span>`;
  if (outcome.mode === "general")
    return html`<span class="confidence is-general"
      ><${Icon} name="info" size=${15} />General answer, not from the documents</span
    >`;
  const { level, words } = confidenceLevel(outcome.confidence);
  const figure = `${Math.round(outcome.confidence * 100)} %`;
  return html`
    <span class="confidence-box">
      <button
        type="button"
        class=${`confidence is-${level}`}
        aria-expanded=${open.value}
        onClick=${() => (open.value = !open.value)}
      >
        <span class="meter" aria-hidden="true"><i></i><i></i><i></i></span>${words}
        <${Icon} name=${open.value ? "chevron-up" : "chevron-down"} size=${14} />
      </button>
      ${
        open.value
          ? html` <div class="confidence-reasons">
              <p>Fireside puts it at <strong>${figure}</strong>${outcome.reasons.length ? ", because:" : "."}</p>
              <ul>
                ${outcome.reasons.map((reason) => html`<li key=${reason}>${reason}</li>`)}
              </ul>
              ${outcome.model ? html`<p class="small">Written by ${outcome.model}</p>` : null}
            </div>`
          : null
      }
    </span>
  `;
}
