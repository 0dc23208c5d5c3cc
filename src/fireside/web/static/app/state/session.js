/** Who is signed in. State: "unknown" while the page asks, then "out" or "in". */
import { account } from "../api/endpoints.js";
import { onSignedOut } from "../api/http.js";
import { keepToken, renewToken, requestToken } from "../api/token.js";
import { signal } from "../html.js";

export const sessionState = signal("unknown");
export const user = signal(null);
const permissions = signal(null);

/** Whether this person may do it; yes when the server did not say (it decides in the end). */
export const may = (permission) => permissions.value === null || permissions.value.includes(permission);

/** On loading the page: go on with the session in the cookie, if there is one. Throws when nothing can be reached. */
export async function resumeSession() {
  if (await renewToken()) await enter();
  else sessionState.value = "out";
}

export async function signIn(email, password) {
  await requestToken({ grant_type: "password", username: email, password });
  await enter();
}

/** First start: make the administrator's account and begin with it. */
export async function setUp({ token, name, email, password }) {
  const tokens = await account.setUp({ token, name, email, password });
  if (tokens?.access_token) {
    keepToken(tokens.access_token);
    await enter();
  } else {
    await signIn(email, password);
  }
}

export async function register({ name, email, password }) {
  await account.register({ name, email, password });
  await signIn(email, password);
}

/** End the session everywhere it is stored; the page forgets the token even when the server cannot be reached. */
export async function signOut() {
  await account.signOut().catch(() => {});
  leave();
}

async function enter() {
  const profile = await account.me();
  user.value = profile.user ?? profile;
  permissions.value = profile.permissions ?? null;
  sessionState.value = "in";
}

function leave() {
  keepToken(null);
  user.value = null;
  sessionState.value = "out";
}

onSignedOut(leave);
