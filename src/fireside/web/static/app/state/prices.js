/** What models cost, for administrators: adding, changing, removing. All prices are one live setting. */
import { Problem } from "../api/problem.js";
import { computed } from "../html.js";
import { price as exact } from "../text/wording.js";
import { changeSetting, currency, PRICES, priceTable } from "./limits.js";

/** All prices, by name of the model; null until they are loaded. */
export const prices = computed(() => {
  const table = priceTable.value;
  return table && Object.keys(table).sort().map((model) => ({ model, ...table[model] }));
});

/** A price as people read it. */
export function inWords({ prompt, completion, cached }) {
  const shown = (value) => exact(Number(value), currency.value);
  const less = cached === null || cached === undefined ? "" : ` (cached ones ${shown(cached)})`;
  return `${shown(prompt)} a million tokens of prompts${less}, ${shown(completion)} of answers`;
}

/** Say what a model costs, instead of what `before` says; throws what speaks against it. */
export async function savePrice({ model, ...price }, before = null) {
  const rest = without(before?.model);
  if (model in rest) {
    const detail = `There is a price of ${model} already. Change that one.`;
    throw Object.assign(new Problem({ detail }), { field: "model" });
  }
  await changeSetting(PRICES, { ...rest, [model]: price });
}

/** Let a model count as free; throws what speaks against it. */
export const removePrice = ({ model }) => changeSetting(PRICES, without(model));

const without = (model) => Object.fromEntries(Object.entries(priceTable.value).filter(([name]) => name !== model));
