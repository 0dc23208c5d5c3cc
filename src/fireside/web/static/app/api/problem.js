/** Errors as people should read them: problem documents (RFC 9457) and failed connections become one class. */

const BY_STATUS = {
  401: "Please sign in again.",
  403: "You may not do this.",
  404: "This does not exist, or it is not yours to see.",
  409: "This does not fit the present state.",
  413: "This is larger than Fireside accepts.",
  429: "Too many requests. Please wait a moment.",
  502: "Fireside is starting or restarting. Please try again in a moment.",
  503: "Fireside is busy or starting. Please try again in a moment.",
};

export class Problem extends Error {
  /** @param {{status?: number, code?: string, title?: string, detail?: string, errors?: object[]}} body */
  constructor(body, retryAfterSeconds = null) {
    super(body.detail || BY_STATUS[body.status] || body.title || "Something went wrong.");
    this.status = body.status ?? 0;
    this.code = body.code ?? "unknown";
    this.fields = fieldMessages(body.errors);
    this.requestId = body.request_id ?? null;
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

/** The problem that a failed response describes; its body is never shown raw. */
export async function problemFrom(response) {
  const retryAfter = Number(response.headers.get("Retry-After")) || null;
  let body = {};
  if ((response.headers.get("Content-Type") ?? "").includes("json")) {
    body = await response.json().catch(() => ({}));
  }
  // OAuth2 token errors (RFC 6749) carry error_description instead of detail
  const detail = typeof body.detail === "string" ? body.detail : body.error_description;
  return new Problem({ ...body, detail, status: body.status ?? response.status }, retryAfter);
}

/** What to tell a person about anything that was thrown. */
export function describe(error) {
  if (error instanceof Problem) {
    const wait = error.retryAfterSeconds ? ` Try again in ${Math.ceil(error.retryAfterSeconds)} s.` : "";
    return error.message + (error.status === 429 ? wait : "");
  }
  if (error instanceof TypeError) return "Fireside cannot be reached. Check the connection; nothing you sent is lost.";
  return "Something went wrong on this page. Reload it and try again.";
}

export const isAbort = (error) => error?.name === "AbortError";

/** Messages by the last part of each field's path: {email: "not an address"}. */
function fieldMessages(errors) {
  const messages = {};
  for (const error of Array.isArray(errors) ? errors : []) {
    const path = error.field ?? error.loc ?? error.pointer ?? "";
    const name = Array.isArray(path) ? path.at(-1) : String(path).split(/[./]/).at(-1);
    if (name) messages[name] = error.message ?? error.msg ?? error.detail ?? "not valid";
  }
  return messages;
}
