/** Finding a cited passage in the document as it is shown, and marking it there. */
import { blockContent, renderBlocks } from "./markdown.js";

/** UTF-16 position of a character offset: the server counts code points, JavaScript strings do not. */
export function positionOf(text, offset) {
  if (!/[\ud800-\udbff]/.test(text)) return Math.min(offset, text.length);
  let position = 0;
  for (let count = 0; count < offset && position < text.length; count += 1) {
    position += text.codePointAt(position) > 0xffff ? 2 : 1;
  }
  return position;
}

/** Part of a text by character offsets. */
export function slice(text, start, end) {
  return text.slice(positionOf(text, start), positionOf(text, end));
}

/**
 * Mark text nodes inside an element from one position of its text to another.
 * @returns {HTMLElement[]} the marks, in order
 */
export function markRange(root, start, end, className) {
  const marks = [];
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  const parts = [];
  let position = 0;
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const from = Math.max(start - position, 0);
    const to = Math.min(end - position, node.length);
    if (from < to && node.data.slice(from, to).trim()) parts.push([node, from, to]);
    position += node.length;
  }
  for (const [node, from, to] of parts) {
    const range = document.createRange();
    range.setStart(node, from);
    range.setEnd(node, to);
    const mark = document.createElement("mark");
    mark.className = className;
    range.surroundContents(mark);
    marks.push(mark);
  }
  return marks;
}

/**
 * Find words in shown text whatever the white space, case and Markdown signs between them.
 * @returns {[number, number] | null} positions in `shown`
 */
export function findLoosely(shown, wanted) {
  const needle = bare(plainText(wanted));
  if (!needle.text) return null;
  const hay = bare(shown);
  const at = hay.text.indexOf(needle.text);
  if (at < 0) return null;
  return [hay.places[at], hay.places[at + needle.text.length - 1] + 1];
}

function bare(text) {
  let kept = "";
  const places = [];
  for (let index = 0; index < text.length; index += 1) {
    const character = text[index];
    if (/[\s*_`#>|~\\[\]-]/.test(character)) continue;
    kept += character.toLowerCase();
    places.push(index);
  }
  return { text: kept, places };
}

/** Markdown without its signs, links by their words. */
function plainText(text) {
  const holder = document.createElement("div");
  for (const block of renderBlocks(text)) holder.append(blockContent(block));
  return holder.textContent;
}

/**
 * Mark the part of rendered blocks that a range of the source text covers.
 * @param {{element: HTMLElement, start: number, end: number, source: string}[]} blocks
 */
export function markBlocks(blocks, start, end, className) {
  const marks = [];
  for (const block of blocks) {
    const from = Math.max(start, block.start);
    const to = Math.min(end, block.end);
    if (from >= to) continue;
    const whole = from === block.start && to >= block.start + block.source.trimEnd().length;
    const part = block.source.slice(from - block.start, to - block.start);
    block.element.classList.toggle("in-passage", whole);
    const found = whole ? null : findLoosely(block.element.textContent, part);
    const [first, last] = found ?? [0, block.element.textContent.length];
    marks.push(...markRange(block.element, first, last, className));
  }
  return marks;
}
