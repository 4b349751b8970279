// Draws a part of the page anew and takes nothing away from who is reading it.

// `same` says that it is the same thing as before: then what is open stays open, and the focus and the scrolled places
// stay where they are; otherwise the focus goes to the whole. What can have the focus is known by its data-focus, what can be opened by its data-name.
export function replace(node, parts, same) {
  const folds = new Map(same ? [...node.querySelectorAll("details")].map((one) => [one.dataset.name, one.open]) : []);
  const scrolled = new Map(same ? [...node.querySelectorAll("pre[data-focus]")].map((one) => [one.dataset.focus, one.scrollTop]) : []);
  const active = node.contains(document.activeElement) ? document.activeElement : null;
  const name = same ? active?.dataset.focus : null;
  const place = name ? named(node, name).indexOf(active) : -1;
  node.replaceChildren(...parts);
  for (const one of node.querySelectorAll("details")) if (folds.has(one.dataset.name)) one.open = folds.get(one.dataset.name);
  for (const [which, top] of scrolled) for (const one of named(node, which)) one.scrollTop = top;
  if (active) (named(node, name)[Math.max(0, place)] ?? node).focus({ preventScroll: true });
}

function named(node, name) {
  return [...node.querySelectorAll("[data-focus]")].filter((one) => one.dataset.focus === name);
}
