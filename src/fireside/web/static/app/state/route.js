/** Where the person is: the address, read into a route, and ways to go elsewhere without loading the page again. */
import { signal } from "../html.js";

export const route = signal(read());

/** Go to an address of this page. `replace` leaves no step in the history. */
export function go(path, { replace = false } = {}) {
  if (path !== location.pathname + location.search) {
    history[replace ? "replaceState" : "pushState"](null, "", path);
  }
  route.value = read();
}

/** Let plain clicks on links to this page's own addresses go without loading. For one listener on the document. */
export function followLink(event) {
  const link = event.target.closest?.("a[href]");
  const plain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
  if (!link || !plain || event.defaultPrevented || link.target || link.hasAttribute("download")) return;
  const url = new URL(link.href);
  if (url.origin !== location.origin || url.hash || !KNOWN.test(url.pathname)) return;
  event.preventDefault();
  go(url.pathname + url.search);
}

addEventListener("popstate", () => {
  route.value = read();
});

const KNOWN = /^\/($|setup$|documents($|\/)|providers$|usage$|c\/)/;

function read() {
  const [first, id] = location.pathname.split("/").filter(Boolean);
  const query = new URLSearchParams(location.search);
  if (first === "c" && id) return { name: "conversation", id };
  if (first === "documents") return { name: "documents", id: id ?? null, chunk: query.get("chunk") };
  if (first === "providers" || first === "usage") return { name: first };
  if (first === "setup") return { name: "setup", token: query.get("token") ?? "" };
  return { name: "home" };
}
