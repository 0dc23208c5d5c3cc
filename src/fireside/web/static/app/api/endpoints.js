/** Every server call the page makes, by name. Paths and bodies follow the public interface, version 1. */
import { call, listAll, send, upload } from "./http.js";

const STREAM = "text/event-stream";
const v1 = (strings, ...values) =>
  "/api/v1" + strings.reduce((path, part, index) => path + encodeURIComponent(values[index - 1]) + part);
const query = (fields) => {
  const set = Object.entries(fields).filter(([, value]) => value !== undefined && value !== null && value !== "");
  return set.length ? `?${new URLSearchParams(set)}` : "";
};

export const account = {
  setUp: (details) => call("POST", v1`/auth/setup`, { body: details }),
  setUpState: () => call("GET", v1`/auth/setup`),
  register: (details) => call("POST", v1`/auth/register`, { body: details }),
  me: () => call("GET", v1`/auth/me`),
  signOut: () => send("POST", v1`/auth/logout`),
  people: () => listAll(v1`/admin/users` + "?limit=100"),
  person: (id) => call("GET", v1`/admin/users/${id}`),
  peopleLike: (text) => call("GET", v1`/admin/users` + query({ query: text, limit: 100 })),
  roles: () => call("GET", v1`/admin/roles`),
};

export const config = {
  show: () => call("GET", v1`/admin/config`),
  change: (values, version) => call("PATCH", v1`/admin/config`, { body: { values, expected_version: version } }),
};

export const usage = {
  own: (by) => call("GET", v1`/usage` + query({ group_by: by })),
  everybody: (by) => call("GET", v1`/admin/usage` + query({ group_by: by })),
};

export const conversations = {
  create: (fields) => call("POST", v1`/conversations`, { body: fields }),
  page: ({ words, cursor } = {}) => call("GET", v1`/conversations` + query({ query: words, cursor, limit: 40 })),
  get: (id) => call("GET", v1`/conversations/${id}`),
  change: (id, fields) => call("PATCH", v1`/conversations/${id}`, { body: fields }),
  remove: (id) => send("DELETE", v1`/conversations/${id}`),
  messages: (id) => listAll(v1`/conversations/${id}/messages` + "?limit=100"),
  exported: (id, format) => send("GET", v1`/conversations/${id}/export` + query({ format }), { accept: "*/*" }),
};

export const messages = {
  ask: (conversationId, fields) =>
    send("POST", v1`/conversations/${conversationId}/messages`, { body: fields, accept: STREAM }),
  regenerate: (id, fields) => send("POST", v1`/messages/${id}/regenerate`, { body: fields, accept: STREAM }),
  edit: (id, fields) => send("POST", v1`/messages/${id}/edit`, { body: fields, accept: STREAM }),
  events: (id, lastEventId) => send("GET", v1`/messages/${id}/events`, { accept: STREAM, lastEventId }),
  stop: (id) => send("POST", v1`/messages/${id}/stop`),
  rate: (id, feedback) => send("POST", v1`/messages/${id}/feedback`, { body: feedback }),
};

export const documents = {
  upload: (form, onProgress) => upload(v1`/documents`, form, onProgress),
  page: ({ cursor, limit = 50 } = {}) => call("GET", v1`/documents` + query({ cursor, limit })),
  all: ({ most } = {}) => listAll(v1`/documents` + "?limit=100", { most }),
  get: (id) => call("GET", v1`/documents/${id}`),
  content: (id) => call("GET", v1`/documents/${id}/content`),
  chunks: (id) => listAll(v1`/documents/${id}/chunks` + "?limit=100"),
  remove: (id) => send("DELETE", v1`/documents/${id}`),
  search: (words, signal) => call("GET", v1`/search` + query({ q: words, limit: 12 }), { signal }),
};

export const models = { list: () => call("GET", v1`/models` + "?limit=100") };

export const providers = {
  list: () => call("GET", v1`/providers`),
  save: (provider) => call("PUT", v1`/providers`, { body: provider }),
  test: (provider) => call("POST", v1`/providers/test`, { body: provider }),
  remove: (name) => send("DELETE", v1`/providers/${name}`),
  roles: () => call("GET", v1`/roles-to-models`),
  saveRoles: (roles) => call("PUT", v1`/roles-to-models`, { body: { roles } }),
};

export const jobs = {
  get: (id) => call("GET", v1`/jobs/${id}`),
  events: (id, signal) => send("GET", v1`/jobs/${id}/events`, { accept: STREAM, signal }),
};
