/** Runs before the first paint, so that a chosen theme does not flash. The page's modules take over from here. */
try {
  document.documentElement.dataset.theme = localStorage.getItem("fireside.theme") || "auto";
} catch {
  document.documentElement.dataset.theme = "auto";
}
