/** Leafing through the branches at a fork: other wordings of a question, other answers to it. */
import { html } from "../html.js";
import { choose } from "../state/thread.js";
import { Icon } from "./icons.js";

export function Branches({ message, fork, what }) {
  if (!fork) return null;
  const place = fork.indexOf(message);
  const step = (by) => choose(fork[place + by]);
  return html`
    <span class="branches" role="group" aria-label=${`Versions of this ${what}`}>
      <button
        type="button"
        class="icon-button small"
        aria-label=${`Previous ${what}`}
        disabled=${place === 0}
        onClick=${() => step(-1)}
      >
        <${Icon} name="chevron-left" size=${15} />
      </button>
      <span>${place + 1} / ${fork.length}</span>
      <button
        type="button"
        class="icon-button small"
        aria-label=${`Next ${what}`}
        disabled=${place === fork.length - 1}
        onClick=${() => step(1)}
      >
        <${Icon} name="chevron-right" size=${15} />
      </button>
    </span>
  `;
}
