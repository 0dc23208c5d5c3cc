/** The first page: a greeting and the composer; a newcomer is led from adding documents to asking. */
import { html, useEffect } from "../html.js";
import { documents, loadDocuments } from "../state/documents.js";
import { openConversation } from "../state/thread.js";
import { user } from "../state/session.js";
import { uploads } from "../state/uploads.js";
import { AddDocuments } from "./add-documents.js";
import { Composer } from "./composer.js";
import { Icon } from "./icons.js";

export function Home() {
  useEffect(() => {
    openConversation(null);
    loadDocuments();
  }, []);
  const list = documents.value;
  const empty = list !== null && list.length === 0 && uploads.value.length === 0;
  return html`
    <div class="home">
      <div class="home-column">
        <h1>${greeting(user.value?.name)}</h1>
        ${empty ? html`<${FirstSteps} />` : html`<p class="home-lead">Ask in your own words. Every claim of the answer leads to the passage it rests on.</p>`}
        <${Composer}
          autofocus=${!empty}
          placeholder=${empty ? "…or ask something general first" : "Ask your documents…"}
        />
        ${list?.length ? html`<${Starters} list=${list} />` : null}
      </div>
    </div>
  `;
}

function greeting(name) {
  const hour = new Date().getHours();
  const time = hour < 5 ? "Good evening" : hour < 12 ? "Good morning" : hour < 18 ? "Good afternoon" : "Good evening";
  const first = (name ?? "").split(/\s+/)[0];
  return first ? `${time}, ${first}` : time;
}

const FirstSteps = () => html`
  <section class="first-steps" aria-label="First steps">
    <div class="first-drop">
      <${Icon} name="upload" size=${30} />
      <p>
        <strong
          ><span class="pointer-only">Drop a folder of documents anywhere on this page</span
          ><span class="touch-only">Add the documents you want to ask about</span></strong
        ><br />PDF, Word, PowerPoint, Excel, Markdown, HTML and text
      </p>
      <div class="button-row"><${AddDocuments} /></div>
    </div>
    <ol class="path">
      <li><span>1</span>Add documents</li>
      <li><span>2</span>Ask a question</li>
      <li><span>3</span>Click a number to see the passage</li>
    </ol>
  </section>
`;

// questions that the newest documents can answer for certain, to begin with
function Starters({ list }) {
  const ready = list.filter((document) => document.state === "indexed").slice(0, 3);
  if (!ready.length) return null;
  const fillIn = (text) => {
    const field = document.querySelector("#question");
    field.value = text;
    field.dispatchEvent(new Event("input", { bubbles: true }));
    field.focus();
  };
  return html`
    <ul class="starters" aria-label="Questions to begin with">
      ${ready.map(
        (item) => html`
          <li key=${item.id}>
            <button type="button" class="starter" onClick=${() => fillIn(`What does “${item.title}” say?`)}>
              <${Icon} name="file-text" size=${16} /><span>What does “${item.title}” say?</span>
            </button>
          </li>
        `,
      )}
    </ul>
  `;
}
