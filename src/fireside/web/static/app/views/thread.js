/** A conversation on the page: exchanges of question and answer, and the scrolling between them. */
import { html, memo, signal, useEffect, useLayoutEffect, useRef } from "../html.js";
import { conversation, titleOf } from "../state/conversations.js";
import { loading, loadProblem, openConversation, path, running } from "../state/thread.js";
import { Answer } from "./answer.js";
import { Composer } from "./composer.js";
import { Icon } from "./icons.js";
import { Question } from "./question.js";

const atEnd = signal(true);
let placedKey = null;

export function Thread({ id }) {
  const scroller = useRef(null);
  const end = useRef(null);
  useEffect(() => {
    openConversation(id);
  }, [id]);
  useEffect(() => watchEnd(scroller.current, end.current), [id]);
  const exchanges = groupExchanges(path.value);
  const lastKey = exchanges.at(-1)?.question?.message.key;
  useLayoutEffect(() => placeExchange(scroller.current, exchanges.at(-1)), [lastKey]);
  return html`
    <div class="thread">
      <div ref=${scroller} class="thread-scroll" tabindex="-1">
        <div class="thread-column">
          <h1 class="visually-hidden">${titleOf(conversation(id))}</h1>
          ${loading.value ? html`<${Loading} />` : null}
          ${loadProblem.value ? html`<p class="thread-problem" role="alert"><${Icon} name="circle-alert" />${loadProblem.value} <a href="/">Ask a new question</a></p>` : null}
          ${exchanges.map(
            (exchange, index) => html`
              <${Exchange}
                key=${exchange.key}
                question=${exchange.question?.message}
                questionFork=${forkOf(exchange.question)}
                answer=${exchange.answer?.message}
                answerFork=${forkOf(exchange.answer)}
                last=${index === exchanges.length - 1}
              />
            `,
          )}
          <div ref=${end} class="thread-end"></div>
        </div>
      </div>
      <div class="dock">
        <button
          type="button"
          class="to-end"
          hidden=${atEnd.value}
          onClick=${() => showEnd(scroller.current)}
          aria-label="Go to the end"
        >
          <${Icon} name="arrow-down" />
        </button>
        <${Composer} placeholder="Ask a follow-up…" />
        <p class="dock-note">Answers can be wrong. Check the numbered passages.</p>
      </div>
    </div>
  `;
}

const Loading = () => html`
  <div class="thread-loading" role="status">
    <span class="visually-hidden">Loading the conversation</span><i></i><i></i><i></i>
  </div>
`;

// compared by content, so that an exchange renders again only when its own branches changed
const forkOf = (entry) => (entry && entry.siblings.length > 1 ? entry.siblings : null);

const Exchange = memo(function Exchange({ question, questionFork, answer, answerFork, last }) {
  const reserve = last && question?.isNew;
  return html`
    <article class=${`exchange ${reserve ? "reserve" : ""}`} aria-label=${question ? "Question and answer" : "Answer"}>
      ${question ? html`<${Question} message=${question} fork=${questionFork} />` : null}
      ${answer ? html`<${Answer} message=${answer} fork=${answerFork} />` : null}
    </article>
  `;
});

/** Questions begin exchanges; an answer belongs to the question before it. */
function groupExchanges(entries) {
  const groups = [];
  for (const entry of entries) {
    const isAnswer = entry.message.role === "assistant";
    if (!isAnswer || !groups.length || groups.at(-1).answer) groups.push({ key: entry.message.key });
    groups.at(-1)[isAnswer ? "answer" : "question"] = entry;
  }
  return groups;
}

// a new question goes to the top and its answer grows below, in room that is already there: nothing moves meanwhile;
// a conversation that is opened shows its end
function placeExchange(scroller, exchange) {
  if (!exchange?.question || placedKey === exchange.question.message.key) return;
  placedKey = exchange.question.message.key;
  if (!exchange.question.message.isNew) {
    scroller.scrollTop = scroller.scrollHeight;
    return;
  }
  const article = scroller.querySelector(".exchange:last-of-type");
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  article.scrollIntoView({ block: "start", behavior: calm ? "auto" : "smooth" });
}

function watchEnd(scroller, end) {
  const update = () => {
    const answer = scroller.querySelector(".exchange:last-of-type .answer");
    const bottom = (answer ?? end).getBoundingClientRect().bottom;
    atEnd.value = bottom <= scroller.getBoundingClientRect().bottom + 24;
  };
  const sizes = new ResizeObserver(update);
  sizes.observe(scroller);
  sizes.observe(end.parentElement);
  scroller.addEventListener("scroll", update, { passive: true });
  return () => {
    sizes.disconnect();
    scroller.removeEventListener("scroll", update);
  };
}

function showEnd(scroller) {
  const answer = scroller.querySelector(".exchange:last-of-type .answer");
  answer?.scrollIntoView({ block: "end" });
  if (!running.value) answer?.querySelector("button")?.focus({ preventScroll: true });
}
