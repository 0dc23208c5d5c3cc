/** The panel beside the page: a document, the passage to show in it, and the sources it was opened from. */
import { signal } from "../html.js";

/** null, or {documentId, source, sources}: `source` is the passage shown, `sources` all of the answer's. */
export const panel = signal(null);

let opener = null;

/** Open a cited passage; `sources` are the ones to leaf through. */
export function openSource(source, sources, from = document.activeElement) {
  opener ??= from;
  panel.value = { documentId: source.document_id, source, sources };
}

/** Open a document from its beginning. */
export function openDocument(documentId, from = document.activeElement) {
  opener ??= from;
  panel.value = { documentId, source: null, sources: [] };
}

/** Show the next (1) or previous (-1) of the sources. */
export function leaf(step) {
  const { source, sources } = panel.value;
  const place = sources.findIndex((other) => other.chunk_id === source?.chunk_id) + step;
  if (sources[place]) openSource(sources[place], sources);
}

/** Close the panel; focus returns to what opened it. */
export function closePanel() {
  panel.value = null;
  if (opener?.isConnected) opener.focus();
  opener = null;
}
