/** The access token: in memory only, renewed through the HttpOnly cookie, one renewal at a time over all tabs. */
import { problemFrom } from "./problem.js";

let accessToken = null;
let renewal = null;

export const currentToken = () => accessToken;

export function keepToken(token) {
  accessToken = token;
}

/** Ask the token endpoint, form-encoded as OAuth2 wants it; keeps and returns the access token. */
export async function requestToken(fields) {
  const response = await fetch("/api/v1/auth/token", {
    method: "POST",
    body: new URLSearchParams(fields),
    credentials: "same-origin",
  });
  if (!response.ok) throw await problemFrom(response);
  accessToken = (await response.json()).access_token;
  return accessToken;
}

/**
 * Renew the access token; resolves to it, or to null when the person has to sign in.
 *
 * A refresh token works once and its reuse ends every session of the family, so tabs take turns (Web Locks) and
 * calls inside one tab share one renewal.
 */
export function renewToken() {
  renewal ??= inTurn(() => requestToken({ grant_type: "refresh_token" }))
    .catch((error) => {
      if (error instanceof TypeError || error.status >= 500 || error.status === 429) throw error;
      accessToken = null;
      return null;
    })
    .finally(() => {
      renewal = null;
    });
  return renewal;
}

function inTurn(work) {
  // Web Locks exist only on https and localhost; elsewhere two tabs renewing in the same instant is the known risk
  return navigator.locks ? navigator.locks.request("fireside-token-renewal", work) : work();
}
