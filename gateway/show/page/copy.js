// Puts text into the clipboard, and says on the button how that went.

import { el, setText } from "./dom.js";
import { t } from "./words.js";

export async function copy(text, button) {
  const label = button.textContent;
  setText(button, t(await copied(text) ? "copy.done" : "copy.refused"));
  setTimeout(() => setText(button, label), 1500);
}

// Under an address that is neither https nor this machine, browsers have no clipboard but this old way to it.
async function copied(text) {
  try { await navigator.clipboard.writeText(text); return true; } catch { /* the old way */ }
  const field = el("textarea", { class: "sr", readonly: true, "aria-hidden": "true" });
  field.value = text;
  const focused = document.activeElement;
  document.body.append(field);
  field.select();
  try { return document.execCommand("copy"); } catch { return false; } finally { field.remove(); focused?.focus(); }
}
