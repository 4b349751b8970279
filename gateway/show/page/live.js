// Talks to the gateway: one stream of news, and pages of calls on request, with verdicts in the reader's language.

import { LANGUAGE } from "./words.js";

export class Live {
  constructor(handlers) {
    this.handlers = handlers;
    this.delay = 500;
    this.connect();
  }

  connect() {
    this.source?.close();
    const source = new EventSource(`/api/live?lang=${LANGUAGE}`);
    this.source = source;
    source.addEventListener("open", () => { this.delay = 500; this.handlers.up(); });
    source.addEventListener("flow", (event) => this.handlers.flow(JSON.parse(event.data)));
    source.addEventListener("health", (event) => this.handlers.health(JSON.parse(event.data)));
    source.addEventListener("gap", () => this.handlers.gap());
    source.addEventListener("error", () => this.failed(source));
  }

  // The browser retries a cut stream itself, but gives up for good on an error status, such as 401 after a restart.
  async failed(source) {
    if (source !== this.source) return;
    let locked = false;
    if (source.readyState === EventSource.CLOSED) {
      locked = await fetch("/api/health").then((answer) => answer.status === 401, () => false);
      setTimeout(() => this.connect(), this.delay);
      this.delay = Math.min(this.delay * 2, 10000);
    }
    this.handlers.down(locked);
  }
}

export async function fetchFlows(filters, cursor, limit) {
  const query = new URLSearchParams(Object.entries(filters).filter(([, value]) => value));
  query.set("limit", String(limit));
  if (cursor) query.set("cursor", cursor);
  return read("/api/flows", query);
}

export function fetchFlow(id) {
  return read(`/api/flows/${encodeURIComponent(id)}`);
}

// The last call of the same kind that worked, and what differs.
export function fetchBefore(id) {
  return read(`/api/flows/${encodeURIComponent(id)}/before`);
}

export function fetchDoctor() {
  return read("/api/doctor");
}

export async function beginDoctor() {
  await told(await fetch("/api/doctor/run", { method: "POST", headers: { "content-type": "application/json" }, body: "{}" }));
}

export function fetchCache() {
  return read("/api/cache");
}

export function fetchLimits() {
  return read("/api/limits");
}

export function fetchOverview(span) {
  return read("/api/overview", new URLSearchParams({ span }));
}

export function fetchAgain(id) {
  return read(`/api/flows/${encodeURIComponent(id)}/again`);
}

export function fetchCauses() {
  return read("/api/causes");
}

export function fetchCause(slug) {
  return read(`/api/causes/${encodeURIComponent(slug)}`);
}

// What the gateway refuses has a code and a status; what never reached it has neither.
async function read(path, query = new URLSearchParams()) {
  query.set("lang", LANGUAGE);
  return told(await fetch(`${path}?${query}`, { headers: { accept: "application/json" } }));
}

async function told(answer) {
  const value = await answer.json();
  if (!answer.ok) throw Object.assign(new Error(value.error?.message), { code: value.error?.code, status: answer.status });
  return value;
}
