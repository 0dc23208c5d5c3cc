/** What models cost, for administrators. */
import { html } from "../html.js";
import { inWords, prices, removePrice } from "../state/prices.js";
import { EditableList } from "./editable-list.js";
import { PriceForm } from "./price-form.js";

export const PricesOfModels = () => html`
  <${EditableList}
    title="Prices of models"
    kind="price"
    items=${prices.value}
    empty="No model has a price: all are counted as free."
    nameOf=${(price) => price.model}
    sentence=${(price) => `${price.model}: ${inWords(price)}.`}
    line=${(price) => html`<strong>${price.model}</strong> <span>${inWords(price)}</span>`}
    Form=${PriceForm}
    remove=${removePrice}
    consequence="From now on the model counts as free."
  />
`;
