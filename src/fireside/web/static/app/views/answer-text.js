/** The text of an answer: Markdown rendered block by block, citations that open their passage, unsupported claims marked. */
import { Component, createRef } from "/vendor/preact/preact.js";
import { html, useEffect, useMemo, useRef } from "../html.js";
import { blockContent, renderBlocks } from "../text/markdown.js";
import { findLoosely, markRange } from "../text/passages.js";
import { openSource } from "../state/panel.js";
import { hidePreview, showPreview } from "./preview.js";
import { copy } from "./question.js";

export function AnswerText({ message }) {
  const element = useRef(null);
  const sources = message.sources.value;
  const text = message.content.value;
  const quality = message.quality.value;
  const cacheKey = useMemo(() => `${message.key}:${sources.length}`, [sources]);
  const blocks = renderBlocks(text, { sources });
  useEffect(() => {
    if (message.state.value !== "streaming") markUnsupported(element.current, quality);
  }, [quality, text, message.state.value]);

  const sourceOf = (event) => {
    const button = event.target.closest?.("[data-cite]");
    return button ? { button, source: sources.find((source) => source.n === Number(button.dataset.cite)) } : {};
  };
  const onClick = (event) => {
    const { button, source } = sourceOf(event);
    if (source) {
      hidePreview();
      openSource(source, sources, button);
    }
    const code = event.target.closest?.(".copy-code");
    if (code) copy(code.parentElement.querySelector("code").textContent);
  };
  const preview = (event) => {
    const { button, source } = sourceOf(event);
    if (source) showPreview(source, button);
  };
  return html`
    <div
      ref=${element}
      class=${`prose answer-text ${message.state.value === "streaming" ? "is-streaming" : ""}`}
      onClick=${onClick}
      onPointerOver=${preview}
      onPointerOut=${hidePreview}
      onFocusIn=${preview}
      onFocusOut=${hidePreview}
    >
      ${blocks.map((block, index) => html`<${Block} key=${index} block=${block} cacheKey=${cacheKey} />`)}
    </div>
  `;
}

/** One block; its DOM is replaced only when its source text changed. */
class Block extends Component {
  element = createRef();

  shouldComponentUpdate(next) {
    return next.block.source !== this.props.block.source || next.cacheKey !== this.props.cacheKey;
  }
  componentDidMount() {
    this.element.current.replaceChildren(blockContent(this.props.block, this.props.cacheKey));
  }
  componentDidUpdate() {
    this.componentDidMount();
  }
  render() {
    return html`<div ref=${this.element} class="block"></div>`;
  }
}

function markUnsupported(root, quality) {
  for (const mark of root.querySelectorAll("mark.unsupported")) mark.replaceWith(...mark.childNodes);
  root.normalize();
  for (const claim of quality?.claims ?? []) {
    if (claim.supported) continue;
    for (const block of root.children) {
      const found = findLoosely(block.textContent, claim.text);
      if (!found) continue;
      for (const mark of markRange(block, ...found, "unsupported")) mark.title = "No passage supports this";
      break;
    }
  }
}
