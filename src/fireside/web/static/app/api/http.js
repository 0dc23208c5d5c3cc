/** Calls to the server: bearer token, one renewal after a 401, problems as exceptions. Knows no views and no state. */
import { Problem, problemFrom } from "./problem.js";
import { currentToken, renewToken } from "./token.js";

let whenSignedOut = () => {};

/** Say what happens when the server no longer knows who is asking. */
export function onSignedOut(callback) {
  whenSignedOut = callback;
}

/** Send one request; the response, which is always a success. Bodies that are plain objects go as JSON. */
export async function send(method, path, { body, accept, lastEventId, signal } = {}) {
  let response = await attempt(method, path, { body, accept, lastEventId, signal });
  if (response.status === 401 && (await renewToken())) {
    response = await attempt(method, path, { body, accept, lastEventId, signal });
  }
  if (response.ok) return response;
  const problem = await problemFrom(response);
  if (problem.status === 401) whenSignedOut();
  throw problem;
}

/** Send one request and read its JSON answer; null when there is none. */
export async function call(method, path, options) {
  const response = await send(method, path, options);
  if (response.status === 204) return null;
  const text = await response.text();
  return text ? JSON.parse(text) : null;
}

/** Read a list page by page: `{items, next_cursor}`; stops after `most` items. */
export async function listAll(path, { most = 1000 } = {}) {
  const items = [];
  let cursor = null;
  do {
    const query = cursor ? `${path.includes("?") ? "&" : "?"}cursor=${encodeURIComponent(cursor)}` : "";
    const page = await call("GET", path + query);
    items.push(...page.items);
    cursor = page.next_cursor;
  } while (cursor && items.length < most);
  return items;
}

/**
 * Upload a form with progress, which fetch cannot report.
 * @param {(sentBytes: number) => void} onProgress bytes of the whole body that have left
 */
export async function upload(path, form, onProgress) {
  let answer = await uploadOnce(path, form, onProgress);
  if (answer.status === 401 && (await renewToken())) answer = await uploadOnce(path, form, onProgress);
  if (answer.ok) return answer.json();
  const problem = await problemFrom(answer);
  if (problem.status === 401) whenSignedOut();
  throw problem;
}

function uploadOnce(path, form, onProgress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", path);
    request.setRequestHeader("Authorization", `Bearer ${currentToken()}`);
    request.upload.addEventListener("progress", (event) => onProgress(event.loaded));
    request.addEventListener("load", () => resolve(responseOf(request)));
    request.addEventListener("error", () => reject(new TypeError("upload failed")));
    request.send(form);
  });
}

function responseOf(request) {
  if (request.status === 0) throw new Problem({ status: 0 });
  const headers = { "Content-Type": request.getResponseHeader("Content-Type") ?? "" };
  return new Response(request.responseText || null, { status: request.status, headers });
}

function attempt(method, path, { body, accept = "application/json", lastEventId, signal }) {
  const headers = { Accept: accept };
  if (currentToken()) headers.Authorization = `Bearer ${currentToken()}`;
  if (lastEventId) headers["Last-Event-ID"] = lastEventId;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  return fetch(path, {
    method,
    headers,
    body: body === undefined ? undefined : JSON.stringify(body),
    credentials: "same-origin",
    cache: "no-store",
    signal,
  });
}
