/** A glance at a source while the pointer or the focus is on its number. */
import { html, signal, useLayoutEffect, useRef } from "../html.js";

const shown = signal(null);
const EXCERPT_CHARACTERS = 220;

export function showPreview(source, anchor) {
  shown.value = { source, anchor };
}

export function hidePreview() {
  shown.value = null;
}

export function Preview() {
  const element = useRef(null);
  const preview = shown.value;
  useLayoutEffect(() => {
    if (!preview) return;
    const at = preview.anchor.getBoundingClientRect();
    const { offsetWidth: width, offsetHeight: height } = element.current;
    const above = at.top - height - 8;
    element.current.style.left = `${Math.min(Math.max(8, at.left - 20), innerWidth - width - 8)}px`;
    element.current.style.top = `${above > 8 ? above : at.bottom + 8}px`;
  }, [preview]);
  if (!preview) return null;
  const { source } = preview;
  return html`
    <div ref=${element} class="preview" aria-hidden="true">
      <strong>${source.title}</strong>
      ${source.heading ? html`<span class="preview-place">${source.heading}</span>` : null}
      <p>${excerpt(source)}</p>
    </div>
  `;
}

/** The beginning of what the answer rests on, without Markdown signs. */
export function excerpt(source) {
  const first = source.spans?.[0];
  const text = first ? [...source.text].slice(first.start, first.end).join("") : source.text;
  const plain = text
    .replace(/^#+\s.*$/gm, "")
    .replace(/[*_`#>|]|\[([^\]]*)\]\([^)]*\)/g, "$1")
    .replace(/\s+/g, " ")
    .trim();
  return plain.length > EXCERPT_CHARACTERS ? `${plain.slice(0, EXCERPT_CHARACTERS).replace(/\s\S*$/, "")}…` : plain;
}
