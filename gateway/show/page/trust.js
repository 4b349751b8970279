// The page that says how an app elsewhere trusts the gateway: words, and a button to copy each block of lines.

import { copy } from "./copy.js";
import { el, translate } from "./dom.js";
import { TAG, t } from "./words.js";

document.documentElement.lang = TAG;
translate(document);
document.title = `whygate: ${t("trust.title")}`;

for (const lines of document.querySelectorAll("pre")) {
  lines.tabIndex = 0;
  lines.setAttribute("translate", "no");
  lines.setAttribute("aria-label", t("trust.lines"));
  lines.setAttribute("role", "group");
  const box = el("div", { class: "lines" });
  lines.replaceWith(box);
  const button = el("button", { type: "button", on: { click: () => copy(lines.textContent, button) } }, t("trust.copy"));
  box.append(lines, button);
}
