/** Follows one answer to its end: reads its events, speaks them, and comes back after a lost connection. */
import { messages as api } from "../api/endpoints.js";
import { readEvents } from "../api/events.js";
import { Problem, describe } from "../api/problem.js";
import { speak } from "./notices.js";
import { applyEvent, rewind } from "./message.js";
import { stepName } from "../text/wording.js";

const RETRY_MS = [500, 1000, 2000, 4000, 8000, 8000, 8000];

/**
 * Read an answer's events until it is done.
 * @param {object} message the answer, in state "streaming"
 * @param {{open?: () => Promise<Response>, repeatable?: boolean, whenDone: () => void}} options
 *   `open` starts the answer, again if `repeatable` and nothing came yet; without it the events of a running answer
 *   are read again from the first
 */
export async function followAnswer(message, { open = null, repeatable = false, whenDone }) {
  const voice = createVoice();
  if (!open) rewind(message);
  try {
    await readThroughBreaks(message, { open, repeatable, voice });
  } catch (error) {
    fail(message, error);
  }
  message.reconnecting.value = false;
  if (message.stopping && message.state.value === "complete") message.state.value = "stopped";
  voice.end(message);
  whenDone();
}

async function readThroughBreaks(message, { open, repeatable, voice }) {
  let start = open;
  for (let failures = 0; failures <= RETRY_MS.length;) {
    const before = message.lastEventId;
    try {
      const response = await (start ? start() : again(message));
      if (!repeatable) start = null;
      if (await readToEnd(message, response, voice)) return;
    } catch (error) {
      if (!isPassing(error) || (start && !repeatable)) throw error;
    }
    // until the first event the server may never have seen the question: its own id makes sending it again harmless
    if (message.lastEventId) start = null;
    failures = message.lastEventId === before ? failures + 1 : 1;
    message.reconnecting.value = true;
    await wait(RETRY_MS[failures - 1]);
  }
  throw new TypeError("connection lost");
}

const again = (message) => api.events(message.id ?? message.parentId, message.lastEventId || undefined);

async function readToEnd(message, response, voice) {
  message.reconnecting.value = false;
  message.id ??= response.headers.get("X-Message-Id");
  for await (const event of readEvents(response)) {
    // an error without an id is one of the stream: the answer itself goes on and can be read again
    if (event.type === "error" && !event.id) throw new Problem(event.data);
    const ended = applyEvent(message, event);
    voice.hear(event);
    if (ended) return true;
  }
  return false;
}

// a lost connection or a server that restarts passes; a refusal does not
const isPassing = (error) => !(error instanceof Problem) || [500, 502, 503, 504].includes(error.status);

function fail(message, error) {
  const problem = error instanceof Problem ? error : { code: "connection", status: 0 };
  message.problem.value = { code: problem.code, status: problem.status, detail: describe(error) };
  message.state.value = "failed";
}

const wait = (milliseconds = 0) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Speaks steps as they start and the text sentence by sentence, so that a screen reader can follow. */
function createVoice() {
  let text = "";
  return {
    hear({ type, data }) {
      if (type === "step" && data.status === "started") speak(stepName(data));
      if (type !== "token") return;
      text += data.text;
      const end = text.search(/[.!?:]\s(?=\S*$)|\n(?=[^\n]*$)/);
      if (end < 0) return;
      speak(text.slice(0, end + 1).replace(/\[\d+\]|[*_#`]/g, ""));
      text = text.slice(end + 1);
    },
    end(message) {
      if (text.trim()) speak(text.replace(/\[\d+\]|[*_#`]/g, ""));
      const state = message.state.value;
      if (state === "failed") speak("The answer failed.");
      else speak(state === "stopped" ? "Answer stopped." : "Answer complete.");
    },
  };
}
