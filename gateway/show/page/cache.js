// What the cache saved and could save: one line of figures, and below it the rules that would be worth it.

import { el, show } from "./dom.js";
import { clean, count, dollars, number, size } from "./format.js";
import { fetchCache } from "./live.js";
import { counted, t } from "./words.js";

const REFRESH_MS = 10000;
const SUGGESTIONS_SHOWN = 3;

export class CachePanel {
  constructor(node, copy) {
    this.node = node;
    this.copy = copy;
    this.shown = "";
    this.asked = -Infinity;
    setInterval(() => this.refresh(), REFRESH_MS);
    document.addEventListener("visibilitychange", () => this.refresh());
  }

  // At most once in a while, and only while somebody can see it.
  async refresh() {
    const now = performance.now();
    if (document.hidden || now - this.asked < REFRESH_MS - 500) return;
    this.asked = now;
    try { this.draw(await fetchCache()); } catch { /* What was known stays; that the gateway is gone is said elsewhere. */ }
  }

  draw(told) {
    const { entries, size_bytes, saved, degraded, suggestions } = told;
    const found = (suggestions ?? []).slice(0, SUGGESTIONS_SHOWN);
    show(this.node, Boolean(told.enabled && (saved?.calls || found.length)));
    const shown = JSON.stringify([entries, size_bytes, saved, degraded, found]);
    if (this.node.hidden || shown === this.shown) return;
    this.shown = shown;
    // What the reader has opened or closed stays so; on a small screen the calls come first.
    const open = new Map([["could", matchMedia("(min-width: 821px)").matches]]);
    for (const one of this.node.querySelectorAll("details")) open.set(one.dataset.name, one.open);
    const focused = document.activeElement?.dataset?.focus;
    const parts = [
      el("h2", {}, t("saved")),
      el("p", { class: "figures" }, ...figures(told)),
      found.length ? el("details", { "data-name": "could" }, el("summary", { "data-focus": "could" }, t("saved.could")),
        el("ul", {}, ...found.map((one) => this.suggestion(one)))) : "",
    ];
    this.node.replaceChildren(...parts.filter(Boolean));
    for (const one of this.node.querySelectorAll("details")) one.open = open.get(one.dataset.name) ?? false;
    if (focused) [...this.node.querySelectorAll("[data-focus]")].find((one) => one.dataset.focus === focused)?.focus({ preventScroll: true });
  }

  suggestion(one) {
    const name = one.rule;
    const system = one.system_sha256 ? t("saved.system", { hash: one.system_sha256.slice(0, 8) }) : "";
    return el("li", {},
      el("p", {}, el("b", {}, clean([one.provider, one.model].filter(Boolean).join(" "))), " ",
        el("span", { class: "note" }, clean([one.endpoint, system].filter(Boolean).join(" · ")))),
      el("p", {}, [t("saved.seen", { n: number(one.seen) }), counted("saved.would", one.calls, { n: number(one.calls) }), ...worth(one)].join(t("list.and"))),
      one.system_sha256 ? "" : el("p", { class: "note" }, t("saved.broad")),
      one.varied ? el("p", { class: "careful" }, t("saved.varied")) : "",
      el("details", { "data-name": name },
        el("summary", { "data-focus": `open ${name}` }, t("saved.rule")),
        el("pre", { tabindex: "0", translate: "no" }, clean(one.rule)),
        el("p", { class: "note" }, t("saved.where")),
        el("button", { type: "button", "data-focus": `copy ${name}`, on: { click: (event) => this.copy(one.rule, event.target) } }, t("saved.copy"))));
  }
}

function figures({ entries, size_bytes, saved, degraded }) {
  const parts = [];
  if (saved.calls) parts.push(counted("saved.calls", saved.calls, { n: number(saved.calls) }), ...worth(saved));
  if (saved.unpriced_calls && saved.usd !== null) parts.push(counted("saved.unpriced", saved.unpriced_calls, { n: number(saved.unpriced_calls) }));
  if (entries) parts.push(counted("saved.stored", entries, { n: number(entries), size: size(size_bytes) }));
  const told = parts.map((part, at) => el("span", { class: saved.calls && at === 0 ? "gain" : null }, part));
  return degraded ? [...told, el("span", { class: "careful" }, t("saved.trouble"))] : told;
}

// Tokens and money, as far as they are known.
function worth({ tokens_in, tokens_out, usd }) {
  const tokens = tokens_in + tokens_out;
  if (!tokens) return [];
  const told = counted("saved.tokens", tokens, { n: count(tokens) });
  return usd === null ? [told] : [told, usd > 0 && usd < 0.01 ? t("saved.usd.less", { usd: dollars(0.01) }) : t("saved.usd", { usd: dollars(usd) })];
}
