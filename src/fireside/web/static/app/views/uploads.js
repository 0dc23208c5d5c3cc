/** The card that tells how uploads get on: all together in one bar, each file when opened. */
import { html, useSignal } from "../html.js";
import { clearUploads, isOver, retryUpload, uploads } from "../state/uploads.js";
import { DOCUMENT_STATES, plural, splitPath } from "../text/wording.js";
import { Icon } from "./icons.js";

export function Uploads() {
  const open = useSignal(false);
  const batches = uploads.value;
  if (!batches.length) return null;
  const files = batches.flatMap((batch) => batch.files);
  const over = batches.every(isOver);
  return html`
    <section class="uploads" aria-label="Uploads">
      <header>
        <button
          type="button"
          class="uploads-title"
          aria-expanded=${open.value}
          onClick=${() => (open.value = !open.value)}
        >
          <span>${headline(batches, files, over)}</span>
          <${Icon} name=${open.value ? "chevron-down" : "chevron-up"} size=${16} />
        </button>
        ${over ? html`<button type="button" class="icon-button" aria-label="Close" onClick=${clearUploads}><${Icon} name="x" size=${16} /></button>` : null}
      </header>
      ${over ? null : html`<progress max="100" value=${overall(batches)} aria-label="Upload and reading"></progress>`}
      <p class="uploads-stage">${stageText(batches, over)}</p>
      ${batches
        .filter((batch) => batch.problem.value)
        .map(
          (batch) => html`
            <p key=${batch.id} class="form-problem">
              <${Icon} name="circle-alert" size=${16} />${batch.problem.value} ${" "}<button
                type="button"
                class="link"
                onClick=${() => retryUpload(batch)}
              >
                Try again
              </button>
            </p>
          `,
        )}
      ${
        open.value
          ? html`<ul class="uploads-files">
              ${files.map((file) => html`<${FileLine} key=${file.path} file=${file} />`)}
            </ul>`
          : null
      }
    </section>
  `;
}

function headline(batches, files, over) {
  const failed = files.filter((file) => file.state.value === "failed").length;
  if (!over) return `Adding ${plural(files.length, "document")}`;
  if (failed === files.length) return `${plural(failed, "document")} could not be added`;
  return `${plural(files.length - failed, "document")} ready${failed ? `, ${failed} failed` : ""}`;
}

function stageText(batches, over) {
  if (over) return batches.some((batch) => batch.problem.value) ? "" : "You can ask about them now.";
  const current = batches.find((batch) => !isOver(batch));
  if (current.phase.value === "reading") return current.stage.value || "Reading and indexing…";
  return current.phase.value === "uploading" ? "Uploading…" : "Waiting…";
}

// travelling counts a quarter, reading the rest
function overall(batches) {
  const parts = batches.map((batch) => {
    if (isOver(batch)) return 100;
    const sent = batch.files.reduce((sum, file) => sum + file.sent.value, 0) / batch.files.length;
    return sent * 25 + batch.percent.value * 0.75;
  });
  return parts.reduce((sum, part) => sum + part, 0) / parts.length;
}

function FileLine({ file }) {
  const { folder, name } = splitPath(file.path);
  const state = file.state.value;
  const words = {
    waiting: "Waiting",
    uploading: `${Math.round(file.sent.value * 100)} %`,
    uploaded: "Sent",
    ...DOCUMENT_STATES,
  }[state];
  return html`
    <li class=${`file-line is-${state}`}>
      <span class="file-name" title=${file.path}>${name}${folder ? html`<small>${folder}</small>` : null}</span>
      <span class="file-state">${words}</span>
      ${state === "uploading" ? html`<progress max="1" value=${file.sent.value} aria-label=${`${name} sent`}></progress>` : null}
      ${file.reason.value ? html`<small class="file-reason">${file.reason.value}</small>` : null}
    </li>
  `;
}
