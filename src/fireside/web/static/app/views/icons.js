/** Icons from the vendored sprite, and Fireside's own mark. Decorative: labels belong to what holds them. */
import { html } from "../html.js";

export const Icon = ({ name, size = 18 }) => html`
  <svg class="icon" width=${size} height=${size} aria-hidden="true" focusable="false">
    <use href=${`/vendor/lucide/icons.svg#${name}`} />
  </svg>
`;

/** A hearth: an arch of stone with a flame in it. */
export const Mark = ({ size = 28 }) => html`
  <svg class="mark" width=${size} height=${size} viewBox="0 0 32 32" aria-hidden="true" focusable="false">
    <path class="mark-arch" d="M5 29V15a11 11 0 0 1 22 0v14" />
    <path class="mark-floor" d="M2.5 29h27" />
    <path
      class="mark-flame"
      d="M16.2 10.6c.4 3.1 4.5 5 4.5 9.4a4.7 4.7 0 0 1-9.4 0c0-2 1-3.2 2-4.2.1 1 .6 1.7 1.4 1.9-.2-2.7.2-5.1 1.5-7.1z"
    />
  </svg>
`;
