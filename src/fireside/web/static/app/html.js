/** The page's one way to build views: tagged templates (htm) over Preact, with signals for state. */
import { Component, createElement, Fragment, render } from "/vendor/preact/preact.js";
import htm from "/vendor/htm/htm.js";

export const html = htm.bind(createElement);
export { Fragment, render };
export { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "/vendor/preact/hooks.js";
export { batch, computed, effect, signal, useComputed, useSignal } from "/vendor/signals/signals.js";

/** Wrap a view so that it renders again only when a property changed; signals it reads still update it. */
export function memo(View) {
  return class extends Component {
    shouldComponentUpdate(next) {
      const keys = Object.keys({ ...next, ...this.props });
      return keys.some((key) => next[key] !== this.props[key]);
    }
    render(props) {
      return html`<${View} ...${props} />`;
    }
  };
}
