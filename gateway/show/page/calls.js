// The calls that the page knows, oldest first, each no larger than a row of the table needs.

import { agent } from "./format.js";

export const CALLS_MAX = 100000;
const SPARE = 1000;
const SHARED_MAX = 5000;

// Thousands of calls have the same model, host and verdict: one text serves them all.
const shared = new Map();

function share(text) {
  if (typeof text !== "string") return text;
  const known = shared.get(text);
  if (known !== undefined) return known;
  if (shared.size >= SHARED_MAX) shared.clear();
  shared.set(text, text);
  return text;
}

const SHARED = ["state", "kind", "client", "app", "tenant", "key", "provider", "method", "host", "path", "endpoint", "model", "cause", "fault",
  "cache", "fallback", "wait_reason"];
const OWN = ["id", "seq", "rev", "started_at", "stream", "status", "eta_ms", "queue_ms", "ttft_ms", "total_ms", "tokens_in", "tokens_out", "possible_duplicate"];

export function lighten(flow) {
  const call = { tries: flow.attempts.length, agent: share(agent(flow)), diagnosis: null };
  for (const name of OWN) call[name] = flow[name];
  for (const name of SHARED) call[name] = share(flow[name]);
  const said = flow.diagnosis;
  if (said) call.diagnosis = { title: share(said.title), what_happened: share(said.what_happened), what_to_do: [share(said.what_to_do?.[0] ?? "")] };
  return call;
}

export class Calls {
  constructor() {
    this.byId = new Map();
    this.list = [];
    this.causes = new Map();
    this.running = 0;
    this.failed = 0;
    this.changes = 0;
  }

  get size() { return this.list.length; }

  get(id) { return this.byId.get(id); }

  // By place, newest first.
  at(place) { return this.list[this.list.length - 1 - place]; }

  place(id) {
    const call = this.byId.get(id);
    return call === undefined ? -1 : this.list.length - 1 - this.#index(call.seq);
  }

  put(call) {
    const known = this.byId.get(call.id);
    const at = this.#index(call.seq);
    if (known && known.seq === call.seq) {
      this.#count(known, -1);
      this.list[at] = call;
    } else {
      if (known) this.remove(known.id);
      if (at === this.list.length) this.list.push(call);
      else this.list.splice(this.#index(call.seq), 0, call);
    }
    this.byId.set(call.id, call);
    this.#count(call, 1);
    if (this.list.length > CALLS_MAX + SPARE) this.#forgetOldest(SPARE);
    this.changes++;
  }

  remove(id) {
    const call = this.byId.get(id);
    if (!call) return;
    this.list.splice(this.#index(call.seq), 1);
    this.byId.delete(id);
    this.#count(call, -1);
    this.changes++;
  }

  keep(wanted) {
    if (this.list.every(wanted)) return;
    const kept = this.list.filter(wanted);
    this.list = [];
    this.byId.clear();
    this.causes.clear();
    this.running = this.failed = 0;
    for (const call of kept) { this.list.push(call); this.byId.set(call.id, call); this.#count(call, 1); }
    this.changes++;
  }

  // Those of a span of numbers that are not among the listed: they were deleted, or never fitted.
  prune(from, to, listed) {
    for (let at = this.#index(from); at < this.list.length && this.list[at].seq <= to;) {
      if (listed.has(this.list[at].id)) at++;
      else this.remove(this.list[at].id);
    }
  }

  #forgetOldest(many) {
    for (const call of this.list.splice(0, many)) { this.byId.delete(call.id); this.#count(call, -1); }
  }

  #count(call, by) {
    if (call.state !== "done") this.running += by;
    if (!call.cause) return;
    this.failed += by;
    this.causes.set(call.cause, (this.causes.get(call.cause) ?? 0) + by);
    if (!this.causes.get(call.cause)) this.causes.delete(call.cause);
  }

  // Where a number stands, or would: the newest are looked for most.
  #index(seq) {
    let low = 0, high = this.list.length;
    if (high && this.list[high - 1].seq < seq) return high;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.list[middle].seq < seq) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
