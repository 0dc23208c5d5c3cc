/** Starts the page: draws it, listens for keys and links, and goes on with the session if there is one. */
import { html, render } from "./html.js";
import { describe } from "./api/problem.js";
import { toast } from "./state/notices.js";
import { followLink } from "./state/route.js";
import { resumeSession } from "./state/session.js";
import { onPageKey } from "./views/keys.js";
import { Page } from "./views/page.js";

const RETRY_MS = 3000;

document.addEventListener("keydown", onPageKey);
document.addEventListener("click", followLink);
render(html`<${Page} />`, document.querySelector("#page"));
begin();

async function begin() {
  try {
    await resumeSession();
  } catch (error) {
    toast(describe(error), { kind: "error" });
    setTimeout(begin, RETRY_MS);
  }
}
