/** An answer: its steps, its text, what it rests on, how sure it is, and what can be done with it. */
import { html } from "../html.js";
import { regenerate, running } from "../state/thread.js";
import { AnswerText } from "./answer-text.js";
import { Branches } from "./branches.js";
import { Confidence, isUnsupported } from "./confidence.js";
import { Feedback } from "./feedback.js";
import { Icon } from "./icons.js";
import { copy } from "./question.js";
import { SourceList } from "./sources.js";
import { Steps } from "./steps.js";

export function Answer({ message, fork }) {
  const state = message.state.value;
  return html`
    <div class=${`answer is-${state}`} aria-busy=${state === "streaming"}>
      <${Steps} message=${message} />
      <${AnswerText} message=${message} />
      ${state === "streaming" ? null : html`<${AnswerEnd} message=${message} fork=${fork} />`}
    </div>
  `;
}

function AnswerEnd({ message, fork }) {
  const failed = message.state.value === "failed";
  return html`
    <${Notices} message=${message} />
    <${SourceList} message=${message} />
    <div class="answer-foot">
      ${failed ? null : html`<${Confidence} message=${message} />`}
      <span class="answer-actions">
        <${Branches} message=${message} fork=${fork} what="answer" />
        ${
          message.content.value
            ? html` <button
                type="button"
                class="icon-button small"
                aria-label="Copy the answer"
                title="Copy"
                onClick=${() => copy(message.content.value)}
              >
                <${Icon} name="copy" size=${16} />
              </button>`
            : null
        }
        ${failed ? null : html`<${AnswerAgain} message=${message} />`}
        ${message.id && !failed ? html`<${Feedback} message=${message} />` : null}
      </span>
    </div>
  `;
}

const AnswerAgain = ({ message }) => html`
  <button
    type="button"
    class="icon-button small"
    aria-label="Answer again"
    title="Answer again"
    disabled=${Boolean(running.value)}
    onClick=${() => regenerate(message)}
  >
    <${Icon} name="rotate-ccw" size=${16} />
  </button>
`;

function Notices({ message }) {
  const { degraded = [] } = message.outcome.value ?? {};
  const conflicts = message.quality.value?.conflicts ?? [];
  const state = message.state.value;
  return html`
    ${
      isUnsupported(message)
        ? html` <${Notice} kind="unsupported" icon="search" title="Not in the documents">
            Nothing that you may read answers this. Add documents that do, or ask in other words.
          <//>`
        : null
    }
    ${conflicts.map((conflict, index) => html`<${Conflict} key=${index} conflict=${conflict} />`)}
    ${degraded.length ? html`<${Notice} kind="degraded" icon="triangle-alert" title="Answered with less than usual">${degraded.map(text).join(" ")}<//>` : null}
    ${
      message.problem.value
        ? html` <${Notice}
            kind="problem"
            icon="circle-alert"
            title=${state === "interrupted" ? "Interrupted" : "No answer"}
          >
            ${message.problem.value.detail || message.problem.value.title}${" "}
            <button type="button" class="link" disabled=${Boolean(running.value)} onClick=${() => regenerate(message)}>
              Try again
            </button>
          <//>`
        : null
    }
    ${state === "stopped" ? html`<p class="state-note">You stopped this answer.</p>` : null}
  `;
}

const Notice = ({ kind, icon, title, children }) => html`
  <div class=${`notice is-${kind}`} role="note">
    <${Icon} name=${icon} />
    <div>
      <strong>${title}</strong>
      <p>${children}</p>
    </div>
  </div>
`;

const Conflict = ({ conflict }) => html`
  <div class="notice is-conflict" role="note">
    <${Icon} name="scale" />
    <div>
      <strong>The sources disagree${conflict.subject ? ` about ${conflict.subject}` : ""}</strong>
      <ul>
        ${(conflict.values ?? []).map((value) => html`<li key=${value.n}>Source ${value.n}: ${value.value}</li>`)}
      </ul>
    </div>
  </div>
`;

// notices come as sentences; a bare code is still readable with its underscores as spaces
function text(notice) {
  const words = typeof notice === "string" ? notice : (notice.detail ?? notice.code ?? "");
  return /\s/.test(words) ? words : `${words.replaceAll("_", " ")}.`;
}
