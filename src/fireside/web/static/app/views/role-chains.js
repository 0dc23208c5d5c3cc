/** Which models answer for which role, in order: moved by buttons, by Alt and the arrow keys, or by dragging. */
import { html, signal } from "../html.js";
import { modelNames, roles, saveChain } from "../state/providers.js";
import { speak } from "../state/notices.js";
import { may } from "../state/session.js";
import { Icon } from "./icons.js";

const ROLES = [{ role: "answer", label: "Answers", text: "writes what people read" }];
const dragged = signal(null);

export const RoleChains = () => html`
  <section class="role-chains" aria-labelledby="roles-title">
    <h2 id="roles-title">Who answers</h2>
    <p class="document-facts">
      The first model that can answers; the next stand in for it, and the answer says so. Without a list, the default model
      answers. Questions are understood, conversations named and answers checked by rules, which ask no model. Questions go to a provider only when its model stands here, is the default, or is asked for by name.
    </p>
    ${ROLES.map((item) => html`<${Chain} key=${item.role} ...${item} />`)}
  </section>
`;

function Chain({ role, label, text }) {
  const chain = roles.value[role] ?? [];
  const rest = modelNames.value.filter((name) => !chain.includes(name));
  const mayChange = may("admin:write");
  const move = (from, to) => {
    if (to < 0 || to >= chain.length || from === to) return;
    const next = chain.filter((_, place) => place !== from);
    next.splice(to, 0, chain[from]);
    speak(`${chain[from]} is now number ${to + 1} of ${chain.length}`);
    saveChain(role, next);
  };
  return html`
    <div class="role-chain">
      <h3>${label} <small>${text}</small></h3>
      <ol aria-label=${`Models for ${label}`}>
        ${chain.map(
          (name, place) => html`
            <li
              key=${name}
              class="chain-item"
              draggable=${mayChange}
              onDragStart=${() => (dragged.value = { role, place })}
              onDragOver=${(event) => dragged.value?.role === role && event.preventDefault()}
              onDrop=${(event) => (event.preventDefault(), move(dragged.value.place, place))}
              onDragEnd=${() => (dragged.value = null)}
              onKeyDown=${(event) => byKey(event, (step) => move(place, place + step))}
            >
              <span class="chain-place">${place + 1}</span>
              <span class="chain-name">${name}</span>
              ${modelNames.value.includes(name) ? null : html`<span class="provider-state is-bad">not there</span>`}
              ${
                mayChange
                  ? html`
                      <button type="button" class="icon-button small" aria-label=${`Move ${name} up`} disabled=${place === 0} onClick=${() => move(place, place - 1)}>
                        <${Icon} name="arrow-up" size=${16} />
                      </button>
                      <button type="button" class="icon-button small" aria-label=${`Move ${name} down`} disabled=${place === chain.length - 1} onClick=${() => move(place, place + 1)}>
                        <${Icon} name="arrow-down" size=${16} />
                      </button>
                      <button type="button" class="icon-button small" aria-label=${`Take ${name} out`} onClick=${() => saveChain(role, chain.filter((other) => other !== name))}>
                        <${Icon} name="x" size=${16} />
                      </button>
                    `
                  : null
              }
            </li>
          `,
        )}
      </ol>
      ${
        mayChange && rest.length
          ? html`<label class="field chain-add"
              ><span class="visually-hidden">Add a model for ${label}</span>
              <select value="" onChange=${(event) => event.target.value && saveChain(role, [...chain, event.target.value])}>
                <option value="">${chain.length ? "Add the next model…" : "Add a model…"}</option>
                ${rest.map((name) => html`<option value=${name}>${name}</option>`)}
              </select></label
            >`
          : null
      }
    </div>
  `;
}

function byKey(event, step) {
  if (!event.altKey || !["ArrowUp", "ArrowDown"].includes(event.key)) return;
  event.preventDefault();
  step(event.key === "ArrowUp" ? -1 : 1);
}
