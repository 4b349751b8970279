// The state of things at a glance: failures by cause over time, limits, providers, and who calls.

import { el, show, svg } from "./dom.js";
import { causeTitle, clean, clock, count, duration, number } from "./format.js";
import { spanText } from "./filters.js";
import { fetchLimits, fetchOverview } from "./live.js";
import { counted, has, t } from "./words.js";

const REFRESH_MS = 5000;
const SPANS = ["1h", "6h", "24h"];
const CAUSES_SHOWN = 5;
const SCOPES_SHOWN = 6;
const HOSTS_SHOWN = 6;
const APPS_SHOWN = 8;
const WIDTH = 600, HEIGHT = 96;
const KEPT = "whygate.overview";

export class Overview {
  constructor(node, filter) {
    this.node = node;
    this.filter = filter;
    this.span = "1h";
    this.asked = -Infinity;
    this.shown = "";
    node.open = remembered() ?? matchMedia("(min-width: 821px)").matches;
    node.addEventListener("toggle", () => this.refresh(true));
    node.firstElementChild.addEventListener("click", () => remember(!node.open));
    document.addEventListener("visibilitychange", () => this.refresh());
    setInterval(() => this.refresh(), REFRESH_MS);
  }

  toggle() {
    this.node.open = !this.node.open;
    remember(this.node.open);
  }

  // The same once more: the causes have names by now.
  rename() {
    this.shown = "";
    this.refresh(true);
  }

  // Only while somebody can see it.
  async refresh(now = false) {
    if (document.hidden || !this.node.open || (!now && performance.now() - this.asked < REFRESH_MS - 500)) return;
    this.asked = performance.now();
    const { span } = this;
    try {
      const [told, limits] = await Promise.all([fetchOverview(span), fetchLimits()]);
      if (span === this.span) this.draw(told, limits);
    } catch { /* What was known stays; that the gateway is gone is said elsewhere. */ }
  }

  draw(told, limits) {
    const shown = JSON.stringify([told, limits.scopes.map(({ demand_per_second, ...rest }) => rest)]);
    if (shown === this.shown) return;
    this.shown = shown;
    const focused = document.activeElement?.dataset?.focus;
    const cards = [this.failures(told), this.limits(limits), this.hosts(told.hosts), this.apps(told.apps)];
    const body = this.node.querySelector(".cards");
    body.replaceChildren(...cards.filter(Boolean));
    if (focused) [...body.querySelectorAll("[data-focus]")].find((one) => one.dataset.focus === focused)?.focus({ preventScroll: true });
  }

  failures({ buckets, bucket_seconds }) {
    const totals = new Map();
    for (const { causes } of buckets) for (const [cause, many] of Object.entries(causes)) totals.set(cause, (totals.get(cause) ?? 0) + many);
    const ranked = [...totals].sort((a, b) => b[1] - a[1]);
    const named = ranked.slice(0, CAUSES_SHOWN).map(([cause]) => cause);
    const failed = ranked.reduce((sum, [, many]) => sum + many, 0);
    const calls = buckets.reduce((sum, one) => sum + one.calls, 0);
    const others = ranked.slice(CAUSES_SHOWN).reduce((sum, [, many]) => sum + many, 0);
    const summary = t("overview.failures.of", { failed: number(failed), calls: counted("overview.calls", calls, { n: number(calls) }), span: spanText(this.span) });
    return el("section", { class: "card failures" },
      el("header", {}, el("h2", {}, t("overview.failures")),
        el("span", { class: "spans", role: "group", "aria-label": t("overview.span") }, ...SPANS.map((span) => el("button", {
          type: "button", "aria-pressed": String(span === this.span), "data-focus": `span ${span}`, on: { click: () => { this.span = span; this.refresh(true); } },
        }, span)))),
      el("p", { class: "note" }, summary),
      this.chart(buckets, bucket_seconds, named, summary),
      ranked.length ? el("ul", { class: "causes" }, ...ranked.slice(0, CAUSES_SHOWN).map(([cause, many], at) => el("li", {},
        el("button", { type: "button", class: "plain", "data-focus": `cause ${cause}`, on: { click: () => this.filter({ cause }) } },
          el("i", { class: `swatch s${at}`, "aria-hidden": "true" }), el("span", {}, causeTitle(cause)), " ", el("b", {}, number(many))))),
      others ? el("li", {}, el("i", { class: "swatch rest", "aria-hidden": "true" }), el("span", {}, t("overview.others")), " ", el("b", {}, number(others))) : "") : "");
  }

  // One bar for each span of time: all its failures, coloured by cause; a thin line says that there were calls.
  chart(buckets, seconds, named, summary) {
    const most = Math.max(1, ...buckets.map(({ causes }) => Object.values(causes).reduce((sum, many) => sum + many, 0)));
    const wide = WIDTH / buckets.length;
    const bars = [];
    buckets.forEach(({ at, calls, causes }, place) => {
      const x = place * wide;
      if (calls) bars.push(svg("rect", { class: "calls", x: x + 0.5, y: HEIGHT - 2, width: wide - 1, height: 2 }));
      let y = HEIGHT - 3;
      const parts = Object.entries(causes).map(([cause, many]) => [named.indexOf(cause), many]).sort(([a], [b]) => (a < 0 ? 99 : a) - (b < 0 ? 99 : b));
      for (const [at, many] of parts) {
        const tall = Math.max(1.5, many / most * (HEIGHT - 6));
        y -= tall;
        bars.push(svg("rect", { class: at < 0 ? "rest" : `s${at}`, x: x + 0.5, y: Math.max(0, y), width: wide - 1, height: tall }));
      }
      if (!calls) return;
      const failed = Object.values(causes).reduce((sum, many) => sum + many, 0);
      const hint = t("overview.bar", { time: clock(at), failed: number(failed), calls: number(calls) });
      const until = new Date(Date.parse(at) + seconds * 1000).toISOString();
      bars.push(svg("rect", { class: "hit", x, y: 0, width: wide, height: HEIGHT, on: { click: () => this.filter({ since: at, until }) } }, svg("title", {}, hint)));
    });
    return el("div", { class: "chart" },
      svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": summary }, ...bars),
      el("p", { class: "axis", "aria-hidden": "true" }, el("span", {}, clock(buckets[0].at)), most > 1 ? el("span", {}, t("overview.most", { n: number(most) })) : "", el("span", {}, t("overview.now"))));
  }

  limits({ scopes, waiting, shadow }) {
    const known = scopes.filter((scope) => scope.limits.length || scope.queued || scope.in_flight || scope.paused_ms);
    return el("section", { class: "card limits" }, el("header", {}, el("h2", {}, t("overview.limits")),
      waiting ? el("span", { class: "waiting" }, counted("overview.waiting", waiting, { n: number(waiting) })) : ""),
    shadow ? el("p", { class: "note" }, t("overview.shadow")) : "",
    known.length ? el("ul", {}, ...known.slice(0, SCOPES_SHOWN).map(scopeOf)) : el("p", { class: "note" }, t("overview.limits.none")));
  }

  hosts(hosts) {
    return el("section", { class: "card hosts" }, el("header", {}, el("h2", {}, t("overview.hosts")), el("span", { class: "note" }, t("overview.lately"))),
      hosts.length ? el("ul", {}, ...hosts.slice(0, HOSTS_SHOWN).map((one) => el("li", {},
        el("p", {}, el("i", { class: `lamp ${one.state}`, "aria-hidden": "true" }), el("b", {}, clean(one.host)), " ", el("span", { class: `state-word ${one.state}` }, t(`overview.host.${one.state}`))),
        el("p", { class: "note" }, [
          counted("overview.calls", one.calls, { n: number(one.calls) }),
          one.failed ? t("overview.failed", { n: number(one.failed) }) : "",
          one.ttft_p50_ms === null ? "" : t("overview.first_byte", { time: duration(one.ttft_p50_ms) }),
          one.last_cause ? t("overview.last_cause", { title: causeTitle(one.last_cause) }) : "",
        ].filter(Boolean).join(" · ")),
        one.incident ? el("p", { class: "careful" }, t("overview.incident", { name: clean(one.incident) })) : "",
        one.status_page ? el("p", { class: "note" }, el("a", { href: one.status_page, rel: "noreferrer", target: "_blank", "data-focus": `status ${one.host}` }, t("overview.status_page")), statusText(one)) : "")))
        : el("p", { class: "note" }, t("overview.hosts.none")));
  }

  apps(apps) {
    return el("section", { class: "card apps" }, el("header", {}, el("h2", {}, t("overview.apps")), el("span", { class: "note" }, t("overview.lately"))),
      apps.length ? el("ul", {}, ...apps.slice(0, APPS_SHOWN).map((one) => el("li", {},
        el("button", { type: "button", class: "plain", "data-focus": `app ${one.app}`, on: { click: () => this.filter(/ \(pid \d+\)$/.test(one.app) ? { app: one.app } : { q: one.app }) } }, clean(one.app)),
        el("p", { class: "note" }, [
          clean(one.agent),
          counted("overview.calls", one.calls, { n: number(one.calls) }),
          one.failed ? t("overview.failed", { n: number(one.failed) }) : "",
        ].filter(Boolean).join(" · ")))))
        : el("p", { class: "note" }, t("overview.apps.none")));
  }
}

function scopeOf(scope) {
  const queue = scope.queued ? t("overview.queue", { n: number(scope.queued), time: scope.last_eta_ms === null ? "?" : duration(scope.last_eta_ms) })
    : scope.paused_ms ? t("overview.paused", { time: duration(scope.paused_ms) })
    : scope.in_flight ? t("overview.in_flight", { n: number(scope.in_flight) }) : "";
  return el("li", {},
    el("p", {}, el("b", {}, clean(scope.model || scope.provider)), " ", el("span", { class: "note" }, clean(scope.model ? scope.provider : ""))),
    ...scope.limits.slice(0, 4).map(gauge),
    queue ? el("p", { class: scope.queued || scope.paused_ms ? "careful" : "note" }, queue) : "");
}

// Asked only while calls fail: mostly nothing is known, and nothing is said.
function statusText({ status_said: said }) {
  return said ? ` ${t(`overview.status.${said}`)}` : "";
}

function gauge(limit) {
  const kind = has(`overview.kind.${limit.kind}`) ? t(`overview.kind.${limit.kind}`) : clean(limit.kind);
  const span = limit.window_seconds === null ? "" : t("overview.per", { time: duration(limit.window_seconds * 1000) });
  const label = t("overview.left", { left: count(Math.max(0, Math.floor(limit.level))), limit: count(limit.limit), kind, span });
  const bar = el("span", { class: `gauge ${limit.level_ratio < 0.1 ? "out" : limit.level_ratio < 0.3 ? "low" : ""}`, "aria-hidden": "true" }, el("span", {}));
  bar.firstChild.style.width = `${limit.level_ratio * 100}%`;
  return el("p", { class: "limit" }, bar, el("span", { class: "note" }, label));
}

function remembered() {
  try { const kept = localStorage.getItem(KEPT); return kept === null ? null : kept === "open"; } catch { return null; }
}

function remember(open) {
  try { localStorage.setItem(KEPT, open ? "open" : "closed"); } catch { /* It is only a convenience. */ }
}
