// What the reader looks for. It lives in the address, so that a reload, or a link for a colleague, shows the same.

import { el, show } from "./dom.js";
import { causeTitle, clean, clock } from "./format.js";
import { has, t } from "./words.js";

export const NAMES = ["q", "provider", "cause", "fault", "status", "model", "tenant", "app", "since", "until"];
const FAULTS = ["caller", "policy", "network", "edge", "provider", "proxy"];
const STATUSES = ["2xx", "4xx", "5xx", "401", "403", "429", "500", "503"];
const SPANS = new Map([["15m", "quarter"], ["1h", "hour"], ["6h", "six_hours"], ["24h", "day"], ["7d", "week"]]);
const $ = (id) => document.getElementById(id);

export function readAddress() {
  const query = new URLSearchParams(location.search);
  return Object.fromEntries(NAMES.map((name) => [name, query.get(name) ?? ""]));
}

export function writeAddress(filters, hash = location.hash) {
  const query = new URLSearchParams(Object.entries(filters).filter(([, value]) => value));
  history.replaceState(null, "", `${query.size ? `?${query}` : location.pathname}${hash}`);
}

// Whether a call is among those looked for. What the gateway found by words stays: it looks through more than we know.
export function matches(call, filters, found = false) {
  for (const name of ["provider", "fault", "model", "tenant", "app"]) if (filters[name] && call[name] !== filters[name]) return false;
  if (filters.cause === "*" && !call.cause) return false;
  if (filters.cause && filters.cause !== "*") {
    const family = filters.cause.endsWith(".*") ? filters.cause.slice(0, -1) : null;
    if (family ? !call.cause?.startsWith(family) : call.cause !== filters.cause) return false;
  }
  if (filters.status && !fits(call.status, filters.status)) return false;
  if (filters.since.includes("T") && call.started_at < filters.since) return false;
  if (filters.until && call.started_at >= filters.until) return false;
  if (found || !filters.q) return true;
  const text = [call.id, call.client, call.app, call.tenant, call.key, call.provider, call.method, call.host, call.path, call.endpoint,
    call.model, call.cause, call.diagnosis?.title, call.diagnosis?.what_happened].join("\n").toLowerCase();
  return filters.q.toLowerCase().split(/\s+/).every((word) => text.includes(word));
}

function fits(status, wanted) {
  return wanted.endsWith("xx") ? status !== null && String(status)[0] === wanted[0] : String(status) === wanted;
}

// The controls: a bar, and a drawer of rarer ones. What is chosen there stands below as chips that can be taken away.
export class Filters {
  constructor(change) {
    this.change = change;
    this.filters = readAddress();
    this.known = { provider: new Set(), cause: new Set(), model: new Set(), tenant: new Set(), app: new Set() };
    let typing = 0;
    $("q").addEventListener("input", () => { clearTimeout(typing); typing = setTimeout(() => this.set({ q: $("q").value.trim() }), 150); });
    $("filters").addEventListener("submit", (event) => event.preventDefault());
    for (const name of NAMES.filter((name) => name !== "q" && name !== "until")) {
      $(name).addEventListener("change", () => this.set({ [name]: $(name).value, ...(name === "since" ? { until: "" } : {}) }));
    }
    $("failures").addEventListener("click", () => this.set({ cause: this.filters.cause === "*" ? "" : "*" }));
    $("clear").addEventListener("click", () => this.clear());
    choices($("fault"), FAULTS, (value) => t(`fault.${value}`), "");
    choices($("status"), STATUSES, (value) => value, "");
    choices($("since"), [...SPANS.keys()], spanText, "");
    this.draw();
  }

  get filtered() { return NAMES.some((name) => this.filters[name]); }

  // Remembers what there is to choose from.
  learn(call) {
    for (const [name, values] of Object.entries(this.known)) {
      if (!call[name] || values.has(call[name]) || values.size >= 200) continue;
      values.add(call[name]);
      this.unsaid = true;
    }
  }

  set(change) {
    this.filters = { ...this.filters, ...change };
    writeAddress(this.filters);
    this.draw();
    this.change();
  }

  // The address was changed by hand, or by the browser's Back and Forward.
  follow() {
    const filters = readAddress();
    if (NAMES.every((name) => filters[name] === this.filters[name])) return;
    this.filters = filters;
    this.draw();
    this.change();
  }

  clear() { this.set(Object.fromEntries(NAMES.map((name) => [name, ""]))); }

  draw() {
    this.unsaid = false;
    const { filters } = this;
    if ($("q").value.trim() !== filters.q) $("q").value = filters.q;
    for (const [name, values] of Object.entries(this.known)) choices($(name), [...values].sort(), clean, filters[name]);
    for (const name of ["fault", "status", "since"]) choices($(name), [], (value) => value, filters[name]);
    $("failures").setAttribute("aria-pressed", String(filters.cause === "*"));
    const chosen = ["fault", "status", "model", "tenant", "app", "since", "until"].filter((name) => filters[name]);
    $("chosen").replaceChildren(...chosen.map((name) => this.chip(name)));
    show($("chosen"), chosen.length > 0);
  }

  chip(name) {
    const label = said(name, this.filters[name]);
    return el("button", { type: "button", class: "chip on", "data-name": name, "aria-label": t("filter.drop", { filter: label }), on: { click: () => {
      this.set({ [name]: "" });
      $("q").focus({ preventScroll: true });
    } } }, label, " ", el("span", { "aria-hidden": "true" }, "×"));
  }
}

function said(name, value) {
  if (name === "fault" && has(`fault.${value}`)) return t(`fault.${value}`);
  if (name === "since" && SPANS.has(value)) return spanText(value);
  const shown = (name === "since" || name === "until") && value.includes("T") ? clock(value) : name === "cause" ? causeTitle(value) : clean(value);
  return t(`filter.is.${name}`, { value: shown });
}

export function spanText(span) {
  return t(`filter.since.${SPANS.get(span)}`);
}

function choices(select, values, label, chosen) {
  const have = new Set([...select.options].map((option) => option.value));
  if (chosen && !have.has(chosen) && !values.includes(chosen)) values = [...values, chosen];
  for (const value of values) if (!have.has(value)) select.append(el("option", { value }, label(value)));
  if (select.value !== chosen) select.value = chosen;
}
