/** A button that opens a menu in the top layer; arrow keys, Home, End and Escape work as the ARIA pattern says. */
import { html, useRef, useState } from "../html.js";
import { newId } from "../api/ids.js";
import { Icon } from "./icons.js";

/**
 * @param {{label: string, icon?: string, items: {label: string, icon?: string, run: Function, danger?: boolean,
 *   checked?: boolean}[], children?: any}} properties `children` replaces the icon as the button's content
 */
export function Menu({ label, icon = "ellipsis", items, children, className = "icon-button", tabIndex }) {
  const [id] = useState(() => `menu-${newId()}`);
  const [open, setOpen] = useState(false);
  const button = useRef(null);
  const list = useRef(null);

  const onToggle = (event) => {
    const opened = event.newState === "open";
    setOpen(opened);
    if (!opened) return;
    place(list.current, button.current);
    list.current.querySelector("button").focus();
  };
  const choose = (item) => {
    list.current.hidePopover();
    button.current.focus();
    item.run();
  };
  return html`
    <button
      ref=${button}
      type="button"
      class=${className}
      title=${children ? null : label}
      aria-label=${children ? null : label}
      aria-haspopup="menu"
      aria-expanded=${open}
      tabindex=${tabIndex}
      popovertarget=${id}
    >
      ${children ?? html`<${Icon} name=${icon} />`}
    </button>
    <div
      ref=${list}
      id=${id}
      class="menu"
      popover="auto"
      role="menu"
      aria-label=${label}
      onToggle=${onToggle}
      onKeyDown=${moveFocus}
    >
      ${items.map(
        (item) => html`
          <button
            key=${item.label}
            type="button"
            class=${`menu-item ${item.danger ? "danger" : ""}`}
            tabindex="-1"
            role=${item.checked === undefined ? "menuitem" : "menuitemradio"}
            aria-checked=${item.checked}
            onClick=${() => choose(item)}
          >
            <${Icon} name=${item.icon ?? (item.checked ? "check" : "blank")} size=${16} />
            <span>${item.label}</span>
            ${item.checked && item.icon ? html`<${Icon} name="check" size=${16} />` : null}
          </button>
        `,
      )}
    </div>
  `;
}

/** Move between the buttons or links of a list with arrow keys, Home and End. */
export function moveFocus(event, { selector = "button, a[href]" } = {}) {
  const entries = [...event.currentTarget.querySelectorAll(selector)].filter((entry) => entry.offsetParent !== null);
  const at = entries.indexOf(document.activeElement);
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: entries.length - 1 }[event.key];
  if (to === undefined || entries.length === 0) return;
  event.preventDefault();
  entries[(to + entries.length) % entries.length].focus();
}

// under the button where there is room, above it otherwise, never over the window's edge
function place(menu, button) {
  const anchor = button.getBoundingClientRect();
  const { offsetWidth: width, offsetHeight: height } = menu;
  const below = anchor.bottom + 6 + height <= innerHeight;
  const alignedRight = anchor.left + width > innerWidth - 8;
  const left = alignedRight ? anchor.right - width : anchor.left;
  menu.style.top = `${below ? anchor.bottom + 6 : Math.max(8, anchor.top - height - 6)}px`;
  menu.style.left = `${Math.min(Math.max(8, left), innerWidth - width - 8)}px`;
}
