/** Uploads: files in batches, progress by file while they travel, and of the job that reads them afterwards. */
import { batch as together, signal } from "../html.js";
import { documents, jobs } from "../api/endpoints.js";
import { readEvents } from "../api/events.js";
import { describe, Problem } from "../api/problem.js";
import { newId } from "../api/ids.js";
import { speak } from "./notices.js";
import { plural } from "../text/wording.js";
import { documentsChanged, followDocuments } from "./documents.js";

/** What is under way or just ended, newest last: {id, files, phase, percent, stage, problem}. */
export const uploads = signal([]);

const BATCH_FILES = 40;
const BATCH_BYTES = 24_000_000;
const POLL_MS = 1000;
const LOOK_MS = 1500;
const SHOWN_WHEN_DONE_MS = 8000;

let queue = Promise.resolve();

/**
 * Upload files, one batch after the other.
 * @param {{file: File, path: string}[]} entries `path` is relative and kept with the document
 */
export function uploadFiles(entries) {
  const batches = split(entries).map(createBatch);
  uploads.value = [...uploads.value.filter((batch) => !isOver(batch)), ...batches];
  speak(`Uploading ${plural(entries.length, "file")}.`);
  for (const batch of batches) queue = queue.then(() => send(batch));
}

export const isOver = (batch) => ["done", "failed"].includes(batch.phase.value);

/** Take finished uploads off the list. */
export function clearUploads() {
  uploads.value = uploads.value.filter((batch) => !isOver(batch));
}

export function retryUpload(batch) {
  uploads.value = uploads.value.filter((other) => other !== batch);
  uploadFiles(batch.files.map(({ file, path }) => ({ file, path })));
}

function createBatch(entries) {
  return {
    id: newId(),
    files: entries.map(({ file, path }) => ({
      file,
      path,
      sent: signal(0),
      state: signal("waiting"),
      reason: signal(""),
    })),
    phase: signal("waiting"),
    percent: signal(0),
    stage: signal(""),
    problem: signal(""),
  };
}

function split(entries) {
  const batches = [];
  let bytes = Infinity;
  for (const entry of entries) {
    const full = bytes + entry.file.size > BATCH_BYTES || batches.at(-1).length >= BATCH_FILES;
    if (full) {
      batches.push([]);
      bytes = 0;
    }
    batches.at(-1).push(entry);
    bytes += entry.file.size;
  }
  return batches;
}

async function send(batch) {
  const form = new FormData();
  for (const { file, path } of batch.files) form.append("files", file, path);
  batch.phase.value = "uploading";
  try {
    const answer = await documents.upload(form, (sentBytes) => noteProgress(batch, sentBytes));
    noteProgress(batch, Infinity);
    noteDocuments(batch, answer.documents);
    batch.phase.value = "reading";
    documentsChanged();
    // the next batch travels while this one is read
    readUntilDone(batch, answer);
  } catch (error) {
    batch.problem.value = describe(error);
    batch.phase.value = "failed";
    for (const file of batch.files) file.state.value = "failed";
    speak(`Upload failed. ${batch.problem.value}`);
  }
}

// the body carries the files one after the other, so its sent bytes tell how far each one is
function noteProgress(batch, sentBytes) {
  together(() => {
    let rest = sentBytes;
    for (const { file, sent, state } of batch.files) {
      sent.value = file.size ? Math.min(1, Math.max(0, rest) / file.size) : Number(rest > 0);
      if (state.value === "waiting" && sent.value > 0) state.value = "uploading";
      if (state.value === "uploading" && sent.value >= 1) state.value = "uploaded";
      rest -= file.size;
    }
  });
}

async function readUntilDone(batch, answer) {
  const looks = setInterval(() => lookAtDocuments(batch, answer), LOOK_MS);
  try {
    await followJob(answer.job_id, batch);
    noteDocuments(batch, await followDocuments(idsOf(answer)));
    batch.percent.value = 100;
    batch.phase.value = "done";
    noteEnd(batch);
  } catch (error) {
    batch.problem.value = describe(error);
    batch.phase.value = "failed";
  } finally {
    clearInterval(looks);
  }
  documentsChanged();
}

function noteEnd(batch) {
  const failed = batch.files.filter((file) => file.state.value === "failed").length;
  const ready = plural(batch.files.length - failed, "document");
  speak(failed ? `${ready} ready, ${failed} failed.` : `${ready} ready to be asked about.`);
  if (failed) return;
  setTimeout(() => uploads.value.every((other) => other.phase.value === "done") && clearUploads(), SHOWN_WHEN_DONE_MS);
}

const idsOf = (answer) => new Set(answer.documents.map((document) => document.id));

async function lookAtDocuments(batch, answer) {
  const ids = idsOf(answer);
  const list = await documents.all({ most: 500 }).catch(() => []);
  noteDocuments(
    batch,
    list.filter((document) => ids.has(document.id)),
  );
}

function noteDocuments(batch, list) {
  const byPath = new Map(list.map((document) => [document.path, document]));
  for (const file of batch.files) {
    const document = byPath.get(file.path);
    if (!document) continue;
    file.state.value = document.state;
    file.reason.value = document.reason ?? "";
  }
}

/** Follow a job to its end, by its events and, where they break off, by asking. */
async function followJob(id, batch) {
  try {
    for await (const { type, data } of readEvents(await jobs.events(id))) {
      if (type === "progress") noteJob(batch, data);
    }
  } catch {
    // the questions below find out how the job stands
  }
  for (;;) {
    const job = await jobs.get(id);
    noteJob(batch, job);
    if (job.state === "failed") throw new Problem({ ...job.error, detail: job.error?.message });
    if (!["queued", "running"].includes(job.state)) return;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

function noteJob(batch, { percent, stage, detail }) {
  if (percent !== undefined) batch.percent.value = Math.max(batch.percent.value, percent);
  batch.stage.value = detail || stage || batch.stage.value;
}
