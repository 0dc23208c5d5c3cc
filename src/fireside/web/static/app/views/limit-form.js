/** The form of one limit. What is wrong with a field stands below it and says what to do. */
import { account } from "../api/endpoints.js";
import { describe } from "../api/problem.js";
import { html, useRef, useState } from "../html.js";
import { currency, findUser, isId, modelNames, people, roleNames, saveLimit, SUBJECTS, subjectOf } from "../state/limits.js";
import { speak } from "../state/notices.js";
import { may } from "../state/session.js";
import { Field, SaveOrCancel, stateOf, useFocus, valuesOf } from "./form-field.js";

const MOST = 10 ** 12;
const SUGGEST_AFTER_MS = 200;
const NAMED = {
  user: { label: "E-mail address or id of the user", wrong: "Write the user's e-mail address." },
  role: { label: "Role", wrong: "Choose a role." },
  key: { label: "Id of the API key", hint: "“What was used” by API key shows it", wrong: "Write the id of the API key, as “What was used” by API key shows it." },
};

export function LimitForm({ item: limit, onDone }) {
  const [subject, setSubject] = useState(limit ? subjectOf(limit).value : "each-user");
  const [unit, setUnit] = useState(limit?.unit ?? "tokens");
  const [wrong, setWrong] = useState({});
  const [busy, setBusy] = useState(false);
  const form = useRef(null);
  useFocus(form, limit ? "[name=amount]" : "[name=subject]", wrong);
  const { names } = SUBJECTS.find((known) => known.value === subject);

  const save = async (event) => {
    event.preventDefault();
    const values = valuesOf(form.current);
    const found = mistakes(values, names);
    setWrong(found);
    if (Object.keys(found).length) return;
    setBusy(true);
    try {
      await saveLimit(await limitOf(values, names), limit);
      speak("The limit is saved.");
      onDone();
    } catch (error) {
      setWrong({ [error.field ?? "form"]: describe(error) });
      setBusy(false);
    }
  };
  return html`
    <form ref=${form} class="provider-card limit-form" novalidate aria-label=${limit ? "Change the limit" : "Add a limit"} onSubmit=${save}>
      <div class="limit-fields">
        <label class="field"><span>Whose usage</span>
          <select name="subject" value=${subject} onChange=${(event) => (setSubject(event.target.value), setWrong({}))}>
            ${SUBJECTS.map((known) => html`<option key=${known.value} value=${known.value}>${known.label}</option>`)}
          </select>
        </label>
        ${names ? html`<${Named} key=${names} names=${names} value=${whoOf(limit, names)} wrong=${wrong.who} />` : null}
        <${Field} id="limit-amount" label="How much" wrong=${wrong.amount}>
          <input name="amount" inputmode="decimal" autocomplete="off" defaultValue=${limit ? String(Number(limit.amount)) : ""} ...${stateOf("limit-amount", wrong.amount)} />
        <//>
        <label class="field"><span>Of what</span>
          <select name="unit" value=${unit} onChange=${(event) => setUnit(event.target.value)}>
            <option value="tokens">tokens</option>
            <option value="requests">requests</option>
            <option value="cost">money (${currency.value})</option>
          </select>
          ${unit === "cost" ? html`<small>models without a price cost nothing; prices stand below</small>` : null}
        </label>
        <label class="field"><span>In each</span>
          <select name="window">
            ${["hour", "day", "month"].map((one) => html`<option key=${one} value=${one} selected=${one === (limit?.window ?? "day")}>${one}</option>`)}
          </select>
        </label>
        <label class="field"><span>With the model <small>empty for all together</small></span>
          <input name="model" list="limit-models" maxlength="100" autocomplete="off" spellcheck="false" defaultValue=${limit?.model ?? ""} />
        </label>
        <datalist id="limit-models">${modelNames.value.map((name) => html`<option key=${name} value=${name} />`)}</datalist>
      </div>
      <${SaveOrCancel} problem=${wrong.form} busy=${busy} onCancel=${onDone} />
    </form>
  `;
}

/** Who it is that a limit is for: a user, a role or an API key. */
function Named({ names, value, wrong }) {
  const [suggested, setSuggested] = useState([]);
  const timer = useRef(null);
  const suggest = (text) => {
    clearTimeout(timer.current);
    if (!may("users:manage")) return;
    // without suggestions one can write the whole address
    timer.current = setTimeout(() => account.peopleLike(text).then((found) => setSuggested(found.items)).catch(() => {}), SUGGEST_AFTER_MS);
  };
  const { label, hint } = NAMED[names];
  const problem = stateOf("limit-who", wrong);
  if (names === "role" && roleNames.value.length) {
    return html`<${Field} id="limit-who" label=${label} wrong=${wrong}>
      <select name="who" ...${problem}>
        <option value="">Choose…</option>
        ${roleNames.value.map((role) => html`<option key=${role} value=${role} selected=${role === value}>${role}</option>`)}
      </select>
    <//>`;
  }
  return html`<${Field} id="limit-who" label=${label} hint=${hint} wrong=${wrong}>
    <input name="who" list=${names === "user" ? "limit-people" : null} autocomplete="off" spellcheck="false" maxlength="300" defaultValue=${value}
      onInput=${(event) => names === "user" && suggest(event.target.value)} ...${problem} />
    <datalist id="limit-people">${suggested.map((one) => html`<option key=${one.id} value=${one.email}>${one.name}</option>`)}</datalist>
  <//>`;
}

function whoOf(limit, names) {
  if (!limit || limit.who === "*" || subjectOf(limit).names !== names) return "";
  return names === "user" ? (people.value.get(limit.who)?.email ?? limit.who) : limit.who;
}

function mistakes({ who, amount, unit }, names) {
  const found = {};
  if (names && (!who || (names === "key" && !isId(who)))) found.who = NAMED[names].wrong;
  const value = Number(amount);
  if (!amount || !(value >= 0 && value <= MOST)) found.amount = "Write a number from 0 to 1000000000000, without spaces; 0 allows nothing.";
  else if (unit !== "cost" && !Number.isInteger(value)) found.amount = `Write a whole number of ${unit}.`;
  return found;
}

async function limitOf({ subject, who, amount, unit, window, model }, names) {
  const { scope } = SUBJECTS.find((known) => known.value === subject);
  let named = names ? who : "*";
  if (names === "user") named = await findUser(who).catch((error) => Promise.reject(Object.assign(error, { field: "who" })));
  return { scope, who: named, model: model || null, unit, window, amount: Number(amount) };
}
