/** One message of a conversation: its fixed facts, its changing parts as signals, and how events change them. */
import { batch, signal } from "../html.js";
import { newId } from "../api/ids.js";

const INTERRUPTED = { detail: "The answer was interrupted. What had been written is kept." };

/** A message from the server's view of it, or from the few fields known when it is sent. */
export function createMessage(view) {
  return {
    key: view.id ?? newId(),
    id: view.id ?? null,
    parentId: view.parent_id ?? null,
    role: view.role,
    createdAt: view.created_at ?? new Date().toISOString(),
    content: signal(view.content ?? ""),
    state: signal(view.state ?? "complete"),
    steps: signal((view.steps ?? []).reduce(withStep, [])),
    sources: signal(view.sources ?? []),
    quality: signal(view.quality ?? null),
    outcome: signal(view.state && view.state !== "streaming" ? outcomeOf(view) : null),
    problem: signal(view.error ?? (view.state === "interrupted" ? INTERRUPTED : null)),
    rating: signal(view.feedback?.rating ?? 0),
    reconnecting: signal(false),
    lastEventId: "",
    unshown: "",
    frame: null,
  };
}

const outcomeOf = (view) => ({
  mode: view.mode ?? null,
  model: view.model ?? null,
  confidence: view.confidence ?? null,
  reasons: view.confidence_reasons ?? [],
  usage: view.usage ?? null,
  degraded: view.degraded ?? [],
});

/** Take the next event of the answer; events seen before are ignored. True when nothing can follow. */
export function applyEvent(message, { id, type, data }) {
  if (id) {
    if (message.lastEventId && Number(id) <= Number(message.lastEventId)) return false;
    message.lastEventId = id;
  }
  if (data.message_id && !message.id) message.id = data.message_id;
  CHANGES[type]?.(message, data);
  return type === "done";
}

/** Forget what streamed so far, to read the same events again from the first. */
export function rewind(message) {
  batch(() => {
    message.lastEventId = "";
    message.unshown = "";
    message.content.value = "";
    message.steps.value = [];
    message.sources.value = [];
  });
}

// a step is told of when it starts and again when it ends
function withStep(steps, step) {
  const place = steps.findIndex((other) => other.stage === step.stage && other.name === step.name);
  return place < 0 ? [...steps, step] : steps.with(place, { ...steps[place], ...step });
}

const CHANGES = {
  step(message, step) {
    message.steps.value = withStep(message.steps.value, step);
  },
  sources(message, { sources }) {
    message.sources.value = sources;
  },
  token(message, { text }) {
    message.unshown += text;
    message.frame ??= nextFrame(() => showTokens(message));
  },
  quality(message, quality) {
    showTokens(message);
    message.quality.value = quality;
  },
  final(message, final) {
    showTokens(message);
    batch(() => {
      message.content.value = final.content;
      if (final.sources?.length) message.sources.value = final.sources;
      message.outcome.value = outcomeOf(final);
      if (message.state.value === "streaming") message.state.value = "complete";
    });
  },
  error(message, problem) {
    showTokens(message);
    batch(() => {
      message.problem.value = problem;
      message.state.value = problem.code === "answer_interrupted" ? "interrupted" : "failed";
    });
  },
  done(message) {
    showTokens(message);
    if (message.state.value === "streaming") message.state.value = "complete";
  },
};

function showTokens(message) {
  message.frame = null;
  if (!message.unshown) return;
  message.content.value += message.unshown;
  message.unshown = "";
}

// tokens are shown once a frame however fast they come; hidden pages get no frames
function nextFrame(run) {
  return document.hidden ? setTimeout(run, 200) : requestAnimationFrame(run);
}
