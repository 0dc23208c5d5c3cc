/** What Fireside does for an answer: step by step while nothing is written yet, in one line afterwards. */
import { html, useSignal } from "../html.js";
import { duration, stepName, stepsInOneLine } from "../text/wording.js";
import { Icon } from "./icons.js";

export function Steps({ message }) {
  const open = useSignal(false);
  const steps = message.steps.value;
  const streaming = message.state.value === "streaming";
  const waiting = streaming && !message.content.value;
  if (!steps.length)
    return streaming ? html`<p class="steps-line"><i class="ember"></i>${firstWords(message)}</p>` : null;
  if (waiting) return html`<${StepList} steps=${steps} note=${message.reconnecting.value ? "Reconnecting…" : ""} />`;
  const failed = steps.some((step) => step.status === "failed");
  const current = steps.findLast((step) => step.status === "started");
  const line = message.reconnecting.value ? "Reconnecting…" : `${stepName(current ?? steps.at(-1))}…`;
  return html`
    <div class="steps">
      <button type="button" class="steps-line" aria-expanded=${open.value} onClick=${() => (open.value = !open.value)}>
        ${streaming ? html`<i class="ember"></i>${line}` : html`<${Icon} name=${failed ? SIGNS.failed : SIGNS.done} size=${15} />${stepsInOneLine(steps)}`}
        <${Icon} name=${open.value ? "chevron-up" : "chevron-down"} size=${14} />
      </button>
      ${open.value ? html`<${StepList} steps=${steps} />` : null}
    </div>
  `;
}

const firstWords = (message) => (message.reconnecting.value ? "Reconnecting…" : "Starting…");

const SIGNS = { done: "check", failed: "triangle-alert", skipped: "chevron-right" };

const StepList = ({ steps, note }) => html`
  <ol class="step-list">
    ${steps.map(
      (step) => html`
        <li key=${step.stage + step.name} class=${`step is-${step.status}`}>
          <span class="step-sign"
            >${step.status === "started" ? html`<i class="ember"></i>` : html`<${Icon} name=${SIGNS[step.status]} size=${15} />`}</span
          >
          <span class="step-name">${stepName(step)}${step.status === "skipped" ? " (not needed)" : ""}</span>
          ${step.detail ? html`<span class="step-detail">${step.detail}</span>` : null}
          ${step.elapsed_ms ? html`<span class="step-time">${duration(step.elapsed_ms)}</span>` : null}
        </li>
      `,
    )}
    ${
      note
        ? html`<li class="step">
            <span class="step-sign"><i class="ember"></i></span>${note}
          </li>`
        : null
    }
  </ol>
`;
