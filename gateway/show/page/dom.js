// Builds elements. Text only ever goes in as text.

import { t } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";

export function el(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "on") for (const [event, act] of Object.entries(value)) node.addEventListener(event, act);
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return node;
}

export function show(node, visible) {
  node.hidden = !visible;
}

// Leaves the document alone when nothing changes, so that a selection survives.
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// Puts the reader's words into a document that has none of its own: data-t is the text, the others are attributes.
export function translate(root) {
  const attributes = { "data-t-label": "aria-label", "data-t-title": "title", "data-t-placeholder": "placeholder" };
  for (const node of root.querySelectorAll("[data-t]")) node.textContent = t(node.dataset.t);
  for (const [from, to] of Object.entries(attributes)) {
    for (const node of root.querySelectorAll(`[${from}]`)) node.setAttribute(to, t(node.getAttribute(from)));
  }
}
