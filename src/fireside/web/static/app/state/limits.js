/**
 * The limits of usage for administrators: loading, adding, changing, removing. All of them are one live setting. Prices, which are
 * another, are loaded with them.
 */
import { account, config, models as modelsApi } from "../api/endpoints.js";
import { describe, Problem } from "../api/problem.js";
import { signal } from "../html.js";
import { amount, money } from "../text/wording.js";
import { may } from "./session.js";

const LIMITS = "FIRESIDE_USAGE_LIMITS";
const CURRENCY = "FIRESIDE_USAGE_CURRENCY";
export const PRICES = "FIRESIDE_USAGE_PRICES";
const ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** All limits as they hold; null until they are loaded. */
export const limits = signal(null);
/** What models cost by their names; null until it is loaded. */
export const priceTable = signal(null);
export const currency = signal("USD");
export const problem = signal("");
/** Names and addresses of those whom limits name, by their id. */
export const people = signal(new Map());
export const roleNames = signal([]);
export const modelNames = signal([]);
let version = null;

/** Whom a limit can be for: scope, whether it names one of them, and what is asked for then. */
export const SUBJECTS = [
  { value: "each-user", scope: "user", label: "Each user" },
  { value: "user", scope: "user", label: "One user", names: "user" },
  { value: "member", scope: "member", label: "Each user with a role", names: "role" },
  { value: "role", scope: "role", label: "All users with a role, together", names: "role" },
  { value: "each-key", scope: "key", label: "Each API key" },
  { value: "key", scope: "key", label: "One API key", names: "key" },
  { value: "all", scope: "all", label: "Everybody together" },
];

/** What tells limits apart: of two with the same name only one can hold. */
export const nameOf = ({ scope, who, model, unit, window }) => [scope, who, model ?? "*", unit, window].join("/");

export const subjectOf = ({ scope, who }) =>
  SUBJECTS.find((subject) => subject.scope === scope && Boolean(subject.names) === (who !== "*"));

/** A limit as people read it: "200 requests each day". */
export function wording(limit) {
  const value = Number(limit.amount);
  const shown = limit.unit === "cost" ? money(value, currency.value) : `${amount(value)} ${limit.unit}`;
  return `${shown} each ${limit.window}${limit.model ? ` with ${limit.model}` : ""}`;
}

/** Whom it is for: "each user", "Ana Ortiz". */
export function whose({ scope, who }) {
  if (scope === "member") return `each user with the role ${who}`;
  if (scope === "role") return `all users with the role ${who}, together`;
  if (who === "*") return subjectOf({ scope, who }).label.replace("Each", "each").replace("Everybody", "everybody");
  return scope === "key" ? `API key ${who}` : (people.value.get(who)?.name ?? `user ${who}`);
}

export async function loadLimits() {
  try {
    const found = await config.show();
    const values = Object.fromEntries(found.items.map((item) => [item.name, item.value]));
    version = found.version;
    currency.value = values[CURRENCY];
    priceTable.value = values[PRICES];
    limits.value = values[LIMITS];
    problem.value = "";
    loadNames();
  } catch (error) {
    problem.value = describe(error);
  }
}

/** What the form offers: roles and models. Without it one can write them. */
export async function loadOffers() {
  const wanted = [modelsApi.list().then((found) => (modelNames.value = found.items.map((item) => item.name)))];
  if (may("users:manage")) {
    wanted.push(account.roles().then((found) => (roleNames.value = found.items.map((item) => item.name))));
  }
  await Promise.allSettled(wanted);
}

/** Add a limit, or put it in the place of another; throws what speaks against it. */
export async function saveLimit(limit, before = null) {
  const rest = limits.value.filter((other) => !before || nameOf(other) !== nameOf(before));
  if (rest.some((other) => nameOf(other) === nameOf(limit))) {
    throw new Problem({ detail: `There is a limit of ${limit.unit} each ${limit.window} for ${whose(limit)} already. Change that one.` });
  }
  const place = before ? limits.value.findIndex((other) => nameOf(other) === nameOf(before)) : rest.length;
  await replaceLimits(rest.toSpliced(place < 0 ? rest.length : place, 0, limit));
}

/** Remove a limit; throws what speaks against it. */
export const removeLimit = (limit) => replaceLimits(limits.value.filter((other) => nameOf(other) !== nameOf(limit)));

export const isId = (text) => ID.test(text);

/** The id of a user by address or id; throws what to do when there is none. */
export async function findUser(text) {
  if (ID.test(text)) return text;
  if (!may("users:manage")) throw new Problem({ detail: "You may not see users' addresses: write the id, as “What was used” by person shows it." });
  const found = await account.peopleLike(text);
  const user = found.items.find((one) => one.email.toLowerCase() === text.toLowerCase());
  if (!user) throw new Problem({ detail: `No user has the address ${text}. Choose one that is suggested while you write.` });
  people.value = new Map(people.value).set(user.id, user);
  return user.id;
}

const replaceLimits = (values) => changeSetting(LIMITS, values);

/** Give one of the settings a value and load what holds then; throws what speaks against it. */
export async function changeSetting(name, value) {
  try {
    await config.change({ [name]: value }, version);
  } catch (error) {
    if (error.status !== 409) throw error;
    await loadLimits();
    throw new Problem({ detail: "Somebody else changed the settings just now. What is shown is new: look at it, and save again." });
  }
  await loadLimits();
}

async function loadNames() {
  if (!may("users:manage")) return;
  const unknown = limits.value.filter(({ scope, who }) => scope === "user" && who !== "*" && !people.value.has(who));
  // of users who are gone the id is shown
  const found = await Promise.all(unknown.map(({ who }) => account.person(who).catch(() => null)));
  people.value = new Map([...people.value, ...found.filter(Boolean).map((user) => [user.id, user])]);
}
