/** Thumbs: one rating an answer; what was wrong can be told with it. */
import { html, useEffect, useRef, useSignal } from "../html.js";
import { rate } from "../state/thread.js";
import { toast } from "../state/notices.js";
import { Icon } from "./icons.js";

const REASONS = ["Wrong", "Incomplete", "Wrong source", "Out of date", "Hard to read"];

export function Feedback({ message }) {
  const telling = useSignal(false);
  const given = message.rating.value;
  const good = async () => {
    if (await rate(message, 1)) toast("Thank you for rating.");
  };
  return html`
    <button
      type="button"
      class="icon-button small"
      aria-label="Good answer"
      title="Good answer"
      aria-pressed=${given === 1}
      disabled=${given !== 0}
      onClick=${good}
    >
      <${Icon} name="thumbs-up" size=${16} />
    </button>
    <button
      type="button"
      class="icon-button small"
      aria-label="Bad answer"
      title="Bad answer"
      aria-pressed=${given === -1}
      aria-expanded=${telling.value}
      disabled=${given !== 0}
      onClick=${() => (telling.value = !telling.value)}
    >
      <${Icon} name="thumbs-down" size=${16} />
    </button>
    ${telling.value ? html`<${WhatWasWrong} message=${message} done=${() => (telling.value = false)} />` : null}
  `;
}

function WhatWasWrong({ message, done }) {
  const tags = useSignal([]);
  const first = useRef(null);
  useEffect(() => first.current.focus(), []);
  const toggle = (tag) => {
    tags.value = tags.value.includes(tag) ? tags.value.filter((other) => other !== tag) : [...tags.value, tag];
  };
  const submit = async (event) => {
    event.preventDefault();
    const comment = new FormData(event.currentTarget).get("comment").trim();
    if (await rate(message, -1, { comment, tags: tags.value })) {
      toast("Thank you. This helps to make answers better.");
      done();
    }
  };
  const onKeyDown = (event) => {
    if (event.key !== "Escape") return;
    event.preventDefault();
    event.stopPropagation();
    done();
  };
  return html`
    <form class="what-was-wrong" aria-label="What was wrong?" onSubmit=${submit} onKeyDown=${onKeyDown}>
      <strong>What was wrong?</strong>
      <div class="tag-choices">
        ${REASONS.map(
          (tag, index) =>
            html` <button
              key=${tag}
              ref=${index ? null : first}
              type="button"
              class="tag"
              aria-pressed=${tags.value.includes(tag)}
              onClick=${() => toggle(tag)}
            >
              ${tag}
            </button>`,
        )}
      </div>
      <textarea
        name="comment"
        rows="2"
        maxlength="4000"
        aria-label="In your words"
        placeholder="In your words, if you like"
      ></textarea>
      <div class="dialog-actions">
        <button type="button" class="button quiet" onClick=${done}>Cancel</button>
        <button type="submit" class="button primary">Send</button>
      </div>
    </form>
  `;
}
