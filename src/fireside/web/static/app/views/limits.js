/** The limits of everybody, for administrators. */
import { html } from "../html.js";
import { limits, nameOf, removeLimit, whose, wording } from "../state/limits.js";
import { EditableList } from "./editable-list.js";
import { LimitForm } from "./limit-form.js";

export const LimitsOfEverybody = () => html`
  <${EditableList}
    title="Limits of everybody"
    kind="limit"
    items=${limits.value}
    empty="There are no limits: everybody may use as much as they like."
    nameOf=${nameOf}
    sentence=${(limit) => `${wording(limit)} for ${whose(limit)}.`}
    line=${(limit) => html`<strong>${wording(limit)}</strong> <span>for ${whose(limit)}</span>`}
    Form=${LimitForm}
    remove=${removeLimit}
    consequence="From now on it does not hold."
  />
`;
