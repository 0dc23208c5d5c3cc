/**
 * Markdown to safe DOM, block by block, so that a growing answer renders only its last block again.
 *
 * Raw HTML is off, the result is sanitised all the same, images are named but never loaded (a loaded image tells its
 * host what the reader reads), links show their host.
 */
import createPurifier from "/vendor/dompurify/purify.js";
import MarkdownIt from "/vendor/markdown-it/markdown-it.js";

const CITATION = /^\[(\d{1,3}(?:\s*,\s*\d{1,3})*)\](?![(:])/;
const SAFE_LINK = /^(https?|mailto):/i;
const CACHED_BLOCKS = 2000;

const purifier = createPurifier(window);
purifier.addHook("afterSanitizeAttributes", (node) => {
  if (node.nodeName !== "A") return;
  node.removeAttribute("class");
  const href = node.getAttribute("href") ?? "";
  if (!SAFE_LINK.test(href)) {
    node.removeAttribute("href");
    return;
  }
  node.setAttribute("target", "_blank");
  node.setAttribute("rel", "noopener noreferrer nofollow");
});
const ALLOWED = {
  ALLOWED_TAGS:
    "p br hr h1 h2 h3 h4 h5 h6 strong em s code pre blockquote ul ol li table thead tbody tr th td a sup span button".split(
      " ",
    ),
  ALLOWED_ATTR: ["href", "title", "start", "class", "type", "data-cite", "aria-label"],
  ALLOWED_URI_REGEXP: SAFE_LINK,
  // these are no addresses, so the rule for links does not judge their values
  ADD_URI_SAFE_ATTR: ["data-cite", "type", "start"],
  ALLOW_DATA_ATTR: false,
  RETURN_DOM_FRAGMENT: true,
};

const markdown = createMarkdown();
const blockCache = new Map();

/**
 * Split text into top-level blocks.
 * @returns {{source: string, start: number, end: number, fragment: () => DocumentFragment}[]} start and end are
 *   UTF-16 positions in the text
 */
export function renderBlocks(text, { sources = [] } = {}) {
  const environment = { cited: new Map(sources.map((source) => [source.n, source])) };
  const lines = lineStarts(text);
  return topLevelGroups(markdown.parse(text, environment)).map((tokens) => {
    const [firstLine, endLine] = tokens[0].map ?? [0, lines.length - 1];
    const start = lines[firstLine];
    const end = lines[endLine] ?? text.length;
    return { source: text.slice(start, end), start, end, html: () => toHtml(tokens, environment) };
  });
}

/** The safe content of a block, a new copy each time. */
export function blockContent(block, key = "") {
  const cacheKey = `${key}\u0000${block.source}`;
  let fragment = blockCache.get(cacheKey);
  if (!fragment) {
    fragment = finish(purifier.sanitize(block.html(), ALLOWED));
    if (blockCache.size > CACHED_BLOCKS) blockCache.clear();
    blockCache.set(cacheKey, fragment);
  }
  return fragment.cloneNode(true);
}

const toHtml = (tokens, environment) => markdown.renderer.render(tokens, markdown.options, environment);

function createMarkdown() {
  const md = new MarkdownIt({ html: false, linkify: true, breaks: false, typographer: false });
  md.linkify.set({ fuzzyLink: false, fuzzyEmail: false });
  md.validateLink = (url) => SAFE_LINK.test(url.trim());
  md.renderer.rules.image = (tokens, index) => {
    const { content, attrs } = tokens[index];
    const host = hostOf(new Map(attrs).get("src"));
    const name = content || "without a name";
    return `<span class="image-note">Image: ${md.utils.escapeHtml(host ? `${name} (${host}, not loaded)` : name)}</span>`;
  };
  md.inline.ruler.before("link", "citation", (state, silent) => {
    const match = CITATION.exec(state.src.slice(state.pos, state.pos + 40));
    if (!match) return false;
    const numbers = match[1].split(",").map(Number);
    if (!numbers.every((n) => state.env.cited?.has(n))) return false;
    if (!silent) {
      // a number never begins a line: it belongs to the words before it
      state.pending = state.pending.replace(/ +$/, "\u202f");
      state.push("citation", "", 0).meta = numbers;
    }
    state.pos += match[0].length;
    return true;
  });
  md.renderer.rules.citation = (tokens, index, options, environment) =>
    tokens[index].meta.map((n) => citationHtml(n, environment.cited.get(n), md.utils.escapeHtml)).join("");
  return md;
}

function citationHtml(n, source, escape) {
  const label = escape(`Source ${n}: ${source.title}`);
  return `<button type="button" class="cite" data-cite="${n}" aria-label="${label}">${n}</button>`;
}

// what is easier said in DOM: hosts of links, frames that scroll around wide tables, copy buttons on code.
// Hosts and button words come from CSS, so that the text stays the document's own and passages are found in it.
function finish(fragment) {
  for (const link of fragment.querySelectorAll("a[href]")) {
    const host = hostOf(link.getAttribute("href"));
    if (host && !link.textContent.includes(host)) link.dataset.host = host;
  }
  for (const table of fragment.querySelectorAll("table")) wrapIn("table-frame", table);
  for (const code of fragment.querySelectorAll("pre")) {
    const button = document.createElement("button");
    Object.assign(button, { type: "button", className: "copy-code", ariaLabel: "Copy this code" });
    wrapIn("code-frame", code).append(button);
    code.tabIndex = 0;
  }
  return fragment;
}

function wrapIn(className, node) {
  const frame = document.createElement("div");
  frame.className = className;
  if (className === "table-frame") frame.tabIndex = 0;
  node.replaceWith(frame);
  frame.append(node);
  return frame;
}

function hostOf(address) {
  try {
    const url = new URL(address);
    return url.protocol === "mailto:" ? url.pathname : url.host;
  } catch {
    return "";
  }
}

function topLevelGroups(tokens) {
  const groups = [];
  let depth = 0;
  for (const token of tokens) {
    if (depth === 0) groups.push([]);
    groups.at(-1).push(token);
    depth += token.nesting;
  }
  return groups;
}

function lineStarts(text) {
  const starts = [0];
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) starts.push(at + 1);
  starts.push(text.length);
  return starts;
}
