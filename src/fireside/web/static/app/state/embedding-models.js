/** The embedding models: which one documents are searched with, and changing it. */
import { embeddingModels as api, jobs } from "../api/endpoints.js";
import { describe } from "../api/problem.js";
import { signal } from "../html.js";
import { speak } from "./notices.js";

/** `{items, serving, wanted, job}` as the server tells it; null until it is loaded. */
export const choice = signal(null);
/** Why it could not be loaded, and why the last wish was refused. */
export const problem = signal("");
export const refusal = signal("");

export const isMoving = (found) => ["queued", "running"].includes(found?.job?.state);

export async function loadEmbeddingModels() {
  const before = choice.value;
  try {
    choice.value = await api.show();
    problem.value = "";
  } catch (error) {
    problem.value = describe(error);
    return;
  }
  const { job, wanted, serving } = choice.value;
  if (!isMoving(before) || isMoving(choice.value)) return;
  speak(job.state === "succeeded" ? `Documents are searched with ${serving} now.` : `The change to ${wanted} has ended: ${job.state}.`);
}

/** Begin to search with another model. */
export const useEmbeddingModel = (name) => wish(() => api.use(name));

/** End the change that is under way; documents are searched as before. */
export const cancelMove = () => wish(() => jobs.cancel(choice.value.job.id));

async function wish(ask) {
  refusal.value = "";
  try {
    await ask();
  } catch (error) {
    refusal.value = describe(error);
  }
  await loadEmbeddingModels();
}
