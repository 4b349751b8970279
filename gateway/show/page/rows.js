// The table: one <tbody> a call, kept in order, replaced when the call changes.

import { el, setText } from "./dom.js";
import { clean, clock, count, duration, outcome, sentence, subject, subjectDetail, tone, wait } from "./format.js";
import { t } from "./words.js";

const CACHED = ["hit", "collapsed", "stale", "stored"];

export class Rows {
  constructor(table, open) {
    this.table = table;
    this.open = open;
    this.bodies = new Map();
    this.selected = null;
  }

  draw(flows) {
    const wanted = new Set(flows.map((flow) => flow.id));
    for (const [id, body] of this.bodies) {
      if (!wanted.has(id)) { body.remove(); this.bodies.delete(id); }
    }
    let before = this.table.tHead;
    for (const flow of flows) {
      let body = this.bodies.get(flow.id);
      if (!body || body.shown !== flow) {
        const fresh = this.make(flow);
        const focused = body?.contains(document.activeElement);
        body?.replaceWith(fresh);
        this.bodies.set(flow.id, fresh);
        body = fresh;
        if (focused) body.querySelector("button").focus();
      }
      if (before.nextElementSibling !== body) before.after(body);
      before = body;
    }
    this.mark();
  }

  make(flow) {
    const kind = tone(flow);
    const body = el("tbody", { class: `flow ${kind}`, "data-id": flow.id, on: { click: () => {
      if (!String(getSelection())) this.open(flow.id);
    } } });
    body.shown = flow;
    body.append(el("tr", {},
      el("td", { class: "time" }, el("button", {
        type: "button", class: "open", "aria-label": t("row.details", { call: subject(flow), outcome: outcome(flow) }),
      }, clock(flow.started_at))),
      el("td", { class: "status" }, statusPill(flow, kind)),
      el("td", { class: "call" }, el("b", {}, subject(flow)), el("small", {}, subjectDetail(flow))),
      el("td", { class: "outcome" }, ...outcomeCell(flow)),
      numberCell("tries", flow.attempts.length > 1 || flow.cause ? String(flow.attempts.length) : ""),
      numberCell("queue", flow.queue_ms >= 1 ? duration(flow.queue_ms) : ""),
      numberCell("ttft", duration(flow.ttft_ms)),
      numberCell("total", flow.state === "done" ? duration(flow.total_ms) : ""),
      numberCell("tokens", flow.tokens_in === null && flow.tokens_out === null ? ""
        : `${count(flow.tokens_in)} → ${count(flow.tokens_out)}`),
      el("td", { class: "cache" }, CACHED.includes(flow.cache) ? el("span", { class: `mark ${flow.cache}` }, t(`cache.${flow.cache}`)) : ""),
    ));
    const said = sentence(flow);
    if (said) {
      body.append(el("tr", { class: "why" }, el("td", {}), el("td", { colspan: "9" },
        el("p", {}, said.why, said.what ? " " : "", said.what ? el("strong", {}, said.what) : ""))));
    }
    return body;
  }

  // Running calls count up, and their waits count down.
  tick(deadlines) {
    const now = Date.now();
    for (const [id, body] of this.bodies) {
      const flow = body.shown;
      if (flow.state === "done") continue;
      setText(body.querySelector(".total span"), duration(Math.max(0, now - Date.parse(flow.started_at))));
      const until = deadlines.get(id);
      const note = body.querySelector(".wait");
      if (note) setText(note, wait(flow, until === undefined ? null : until - performance.now()));
    }
  }

  select(id, scroll = true) {
    this.selected = id;
    this.mark();
    const body = this.bodies.get(id);
    if (body && scroll) {
      body.scrollIntoView({ block: "nearest" });
      body.querySelector("button").focus({ preventScroll: true });
    }
  }

  mark() {
    for (const [id, body] of this.bodies) body.classList.toggle("selected", id === this.selected);
  }

  step(by) {
    const order = [...this.table.tBodies].map((body) => body.dataset.id);
    if (!order.length) return;
    const at = order.indexOf(this.selected);
    this.select(order[at < 0 ? 0 : Math.min(order.length - 1, Math.max(0, at + by))]);
  }
}

function numberCell(name, text) {
  return el("td", { class: `n ${name}${text ? "" : " none"}` }, el("span", {}, text));
}

function statusPill(flow, kind) {
  const text = flow.status ? String(flow.status) : flow.state === "done" ? t(flow.cause ? "row.failed" : "row.done") : "···";
  return el("span", { class: `pill ${kind}` }, text);
}

function outcomeCell(flow) {
  if (flow.state !== "done") {
    return [el("span", { class: "state" }, el("i", { class: "spin", "aria-hidden": "true" }), outcome(flow)),
      el("small", { class: "wait" }, wait(flow, flow.eta_ms))];
  }
  const extra = flow.possible_duplicate ? el("small", {}, t("row.duplicate")) : "";
  return flow.cause
    ? [el("b", {}, outcome(flow)), el("small", { class: "slug" }, clean(flow.cause)), extra]
    : [el("span", { class: "fine" }, outcome(flow)), extra];
}
