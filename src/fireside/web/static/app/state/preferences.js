/** Choices kept in this browser: theme, sidebar, and the mode and model of the next question. */
import { effect, signal } from "../html.js";

const stored = (name, otherwise) => {
  const value = signal(localStorage.getItem(`fireside.${name}`) ?? otherwise);
  effect(() => localStorage.setItem(`fireside.${name}`, value.value));
  return value;
};

export const theme = stored("theme", "auto");
export const sidebar = stored("sidebar", "open");
export const mode = stored("mode", "auto");
export const model = stored("model", "");

/** Whether the sidebar covers the page, which only small screens do; closed on every load. */
export const drawerOpen = signal(false);

effect(() => {
  document.documentElement.dataset.theme = theme.value;
});
