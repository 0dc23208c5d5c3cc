/** How facts are put into words: steps, confidence, times, sizes, states. No views here. */

const STEP_NAMES = {
  think: "Understanding the question",
  act: "Searching the documents",
  respond: "Writing the answer",
  check: "Checking it against the sources",
};
const WAITING_NAME = "Waiting for the model";
const STEP_DONE = { think: "Understood", act: "Searched", respond: "Wrote", check: "Checked" };

/** A step in the present, for a person: its own name when the server gave a readable one. */
export function stepName({ stage, name }) {
  if (name === "queue") return WAITING_NAME;
  if (!name || name === stage || /^[a-z0-9_.-]+$/.test(name)) return STEP_NAMES[stage] ?? name ?? "Working";
  return name;
}

/** All finished steps in one line: "Understood, searched, wrote and checked · 2.3 s". */
export function stepsInOneLine(steps) {
  const done = Object.keys(STEP_DONE).filter((stage) =>
    steps.some((step) => step.stage === stage && step.status === "done"),
  );
  const failed = steps.some((step) => step.status === "failed");
  const words = done.map((stage, index) => (index ? STEP_DONE[stage].toLowerCase() : STEP_DONE[stage]));
  const sentence = words.length > 1 ? `${words.slice(0, -1).join(", ")} and ${words.at(-1)}` : (words[0] ?? "Steps");
  const total = steps.reduce((sum, step) => sum + (step.elapsed_ms ?? 0), 0);
  return [sentence, failed ? "one step failed" : "", total ? duration(total) : ""].filter(Boolean).join(" · ");
}

export function duration(milliseconds) {
  if (milliseconds < 995) return `${Math.max(1, Math.round(milliseconds))}\u00a0ms`;
  const seconds = milliseconds / 1000;
  return seconds < 60
    ? `${seconds.toFixed(1)}\u00a0s`
    : `${Math.floor(seconds / 60)}\u00a0min ${Math.round(seconds % 60)}\u00a0s`;
}

/** Confidence from 0 to 1 as a level with words: the figure alone would look more exact than it is. */
export function confidenceLevel(confidence) {
  if (confidence >= 0.75) return { level: "high", words: "High confidence" };
  if (confidence >= 0.45) return { level: "medium", words: "Medium confidence" };
  return { level: "low", words: "Low confidence" };
}

export function bytes(count) {
  if (count < 1000) return `${count} B`;
  const units = ["kB", "MB", "GB"];
  const power = Math.min(Math.floor(Math.log10(count) / 3), units.length);
  const value = count / 1000 ** power;
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${units[power - 1]}`;
}

export const plural = (count, one, many = `${one}s`) => `${count.toLocaleString("en")} ${count === 1 ? one : many}`;

/** A count as people read it: 12,345. */
export const amount = (count) => count.toLocaleString("en", { maximumFractionDigits: 0 });

/** Money with as many digits as tell something: small costs have more. */
export const money = (value, currency) =>
  value.toLocaleString("en", { style: "currency", currency, ...(value && value < 1 ? { maximumSignificantDigits: 2 } : {}) });

/** A price with all its digits. */
export const price = (value, currency) => value.toLocaleString("en", { style: "currency", currency, maximumFractionDigits: 12 });

/** When something begins that lies ahead: "at 14:00" today, "on 3 March at 02:00" later. */
export function until(time, now = Date.now()) {
  const date = new Date(time);
  const clock = date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  if (daysBetween(date, now) === 0) return `at ${clock}`;
  return `on ${date.toLocaleDateString("en-GB", { day: "numeric", month: "long" })} at ${clock}`;
}

const DAY_MS = 86_400_000;

/** "just now", "5 min ago", "14:05", "yesterday", "3 Mar", "3 Mar 2024". */
export function ago(time, now = Date.now()) {
  const date = new Date(time);
  const passed = now - date.getTime();
  if (passed < 60_000) return "just now";
  if (passed < 3_600_000) return `${Math.floor(passed / 60_000)} min ago`;
  const days = daysBetween(date, now);
  if (days === 0) return date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  if (days === 1) return "yesterday";
  const sameYear = date.getFullYear() === new Date(now).getFullYear();
  return date.toLocaleDateString("en-GB", { day: "numeric", month: "short", ...(sameYear ? {} : { year: "numeric" }) });
}

/** The heading under which a conversation stands in the list. */
export function period(time, now = Date.now()) {
  const days = daysBetween(new Date(time), now);
  if (days <= 0) return "Today";
  if (days === 1) return "Yesterday";
  if (days < 7) return "This week";
  return days < 31 ? "This month" : "Older";
}

function daysBetween(date, now) {
  const midnight = (time) => new Date(time).setHours(0, 0, 0, 0);
  return Math.round((midnight(now) - midnight(date)) / DAY_MS);
}

export const DOCUMENT_STATES = {
  pending: "Waiting",
  indexing: "Reading",
  indexed: "Ready",
  failed: "Failed",
};

/** The last part of a path, and the folders before it. */
export function splitPath(path) {
  const cut = path.lastIndexOf("/");
  return { folder: cut < 0 ? "" : path.slice(0, cut), name: path.slice(cut + 1) };
}
