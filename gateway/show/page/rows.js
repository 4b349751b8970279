// The rows that are drawn: one <tbody> a call, in order, replaced when the call changes.

import { el, setText } from "./dom.js";
import { clean, clock, count, duration, outcome, sentence, subject, subjectDetail, tone, wait } from "./format.js";
import { t } from "./words.js";

const CACHED = ["hit", "collapsed", "stale", "stored"];

export class Rows {
  constructor(open) {
    this.open = open;
    this.bodies = new Map();
  }

  has(id) { return this.bodies.has(id); }

  focus(id) { this.bodies.get(id)?.querySelector("button").focus({ preventScroll: true }); }

  // Draws these and no others: {call, place, top, height}, in order.
  draw(table, wanted, selected) {
    const ids = new Set(wanted.map(({ call }) => call.id));
    for (const [id, body] of this.bodies) {
      if (!ids.has(id)) { body.remove(); this.bodies.delete(id); }
    }
    let before = table.tHead;
    for (const { call, place, top, height } of wanted) {
      let body = this.bodies.get(call.id);
      if (!body || body.shown !== call) {
        const fresh = this.make(call);
        const focused = body?.contains(document.activeElement);
        body?.replaceWith(fresh);
        this.bodies.set(call.id, fresh);
        body = fresh;
        if (focused) body.querySelector("button").focus({ preventScroll: true });
      }
      if (before.nextElementSibling !== body) before.after(body);
      if (body.top !== top) { body.top = top; body.style.transform = `translateY(${top}px)`; }
      if (body.tall !== height) { body.tall = height; body.style.height = `${height}px`; }
      if (body.place !== place) { body.place = place; body.firstChild.setAttribute("aria-rowindex", String(place + 2)); }
      body.classList.toggle("selected", call.id === selected);
      before = body;
    }
  }

  make(call) {
    const kind = tone(call);
    const body = el("tbody", { class: `flow ${kind}`, role: "rowgroup", "data-id": call.id, on: { click: () => {
      if (!String(getSelection())) this.open(call.id);
    } } });
    body.shown = call;
    const said = sentence(call);
    body.append(el("tr", { role: "row" },
      cell("time", el("button", {
        type: "button", class: "open", "aria-label": t("row.details", { time: clock(call.started_at), call: subject(call), outcome: outcome(call) }),
      }, clock(call.started_at))),
      cell("status", statusPill(call, kind)),
      cell("call", el("b", {}, subject(call)), el("small", {}, subjectDetail(call))),
      cell("outcome", ...outcomeCell(call)),
      numberCell("tries", call.tries > 1 || call.cause ? String(call.tries) : ""),
      numberCell("queue", call.queue_ms >= 1 ? duration(call.queue_ms) : ""),
      numberCell("ttft", duration(call.ttft_ms)),
      numberCell("total", call.state === "done" ? duration(call.total_ms) : ""),
      numberCell("tokens", call.tokens_in === null && call.tokens_out === null ? ""
        : `${count(call.tokens_in)} → ${count(call.tokens_out)}`),
      cell("cache", CACHED.includes(call.cache) ? cacheMark(call.cache) : ""),
      said ? cell("why", el("p", {}, said.why), said.what ? el("p", {}, el("strong", {}, said.what)) : "") : null,
    ));
    return body;
  }

  // Running calls count up, and their waits count down.
  tick(deadlines) {
    const now = Date.now();
    for (const [id, body] of this.bodies) {
      const call = body.shown;
      if (call.state === "done") continue;
      setText(body.querySelector(".total span"), duration(Math.max(0, now - Date.parse(call.started_at))));
      const until = deadlines.get(id);
      const note = body.querySelector(".wait");
      if (note) setText(note, wait(call, until === undefined ? null : until - performance.now()));
    }
  }
}

function cell(name, ...children) {
  return el("td", { class: name, role: "cell" }, ...children);
}

function numberCell(name, text) {
  return cell(`n ${name}${text ? "" : " none"}`, el("span", {}, text));
}

// The word, and what it means for the pointer and for those who listen.
function cacheMark(word) {
  const hint = t(`cache.${word}.hint`);
  return el("span", { class: `mark ${word}`, title: hint }, t(`cache.${word}`), el("span", { class: "sr" }, ` (${hint})`));
}

function statusPill(call, kind) {
  const text = call.status ? String(call.status) : call.state === "done" ? t(call.cause ? "row.failed" : "row.done") : "···";
  return el("span", { class: `pill ${kind}` }, text);
}

function outcomeCell(call) {
  if (call.state !== "done") {
    return [el("span", { class: "state" }, el("i", { class: "spin", "aria-hidden": "true" }), outcome(call)),
      el("small", { class: "wait" }, wait(call, call.eta_ms))];
  }
  const extra = call.fallback ? el("span", { class: "fallback" }, t("row.fallback", { name: clean(call.fallback) }))
    : call.possible_duplicate ? t("row.duplicate") : "";
  const slug = call.cause ? el("span", { class: "slug" }, clean(call.cause)) : "";
  return [
    call.cause ? el("b", {}, outcome(call)) : el("span", { class: "fine" }, outcome(call)),
    slug || extra ? el("small", {}, ...(extra && slug ? [extra, " · ", slug] : [extra || slug])) : "",
  ];
}
