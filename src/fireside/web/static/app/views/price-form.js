/** The form of one model's price. */
import { describe } from "../api/problem.js";
import { html, useRef, useState } from "../html.js";
import { currency, modelNames } from "../state/limits.js";
import { speak } from "../state/notices.js";
import { savePrice } from "../state/prices.js";
import { Field, SaveOrCancel, stateOf, useFocus, valuesOf } from "./form-field.js";

const MOST = 10 ** 9;
const KINDS = [
  { name: "prompt", label: "A million tokens of prompts" },
  { name: "completion", label: "A million tokens of answers" },
  { name: "cached", label: "A million cached tokens of prompts", hint: "empty: as others" },
];

export function PriceForm({ item, onDone }) {
  const [wrong, setWrong] = useState({});
  const [busy, setBusy] = useState(false);
  const form = useRef(null);
  useFocus(form, item ? "[name=prompt]" : "[name=model]", wrong);
  const save = async (event) => {
    event.preventDefault();
    const values = valuesOf(form.current);
    const found = mistakes(values);
    setWrong(found);
    if (Object.keys(found).length) return;
    setBusy(true);
    try {
      await savePrice(priceOf(values), item);
      speak("The price is saved.");
      onDone();
    } catch (error) {
      setWrong({ [error.field ?? "form"]: describe(error) });
      setBusy(false);
    }
  };
  return html`
    <form ref=${form} class="provider-card limit-form" novalidate aria-label=${item ? "Change the price" : "Add a price"} onSubmit=${save}>
      <div class="limit-fields">
        <${Field} id="price-model" label="Model" hint="as “What was used” names it" wrong=${wrong.model}>
          <input name="model" list="price-models" maxlength="200" autocomplete="off" spellcheck="false" defaultValue=${item?.model ?? ""}
            ...${stateOf("price-model", wrong.model)} />
        <//>
        <datalist id="price-models">${modelNames.value.map((name) => html`<option key=${name} value=${name} />`)}</datalist>
        ${KINDS.map(
          ({ name, label, hint }) => html`
            <${Field} key=${name} id=${`price-${name}`} label=${`${label} (${currency.value})`} hint=${hint} wrong=${wrong[name]}>
              <input name=${name} inputmode="decimal" autocomplete="off" defaultValue=${shown(item?.[name])} ...${stateOf(`price-${name}`, wrong[name])} />
            <//>
          `,
        )}
      </div>
      <${SaveOrCancel} problem=${wrong.form} busy=${busy} onCancel=${onDone} />
    </form>
  `;
}

/** A number as one writes it, not 1e-7. */
const shown = (value) =>
  value === null || value === undefined ? "" : Number(value).toLocaleString("en", { useGrouping: false, maximumFractionDigits: 12 });

function mistakes(values) {
  const found = {};
  if (!values.model) found.model = "Write the model's name.";
  for (const { name } of KINDS) {
    const value = Number(values[name]);
    const may = name === "cached" ? " or nothing" : "";
    if (values[name] ? !(value >= 0 && value <= MOST) : !may) {
      found[name] = `Write a number from 0 to 1000000000${may}, with a point and without spaces, such as 2.50.`;
    }
  }
  return found;
}

const priceOf = ({ model, prompt, completion, cached }) => ({
  model,
  prompt: Number(prompt),
  completion: Number(completion),
  cached: cached ? Number(cached) : null,
});
