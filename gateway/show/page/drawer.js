// One call in full: the verdict first, then what was done, then the raw facts.

import { el, svg } from "./dom.js";
import { agent, attemptsTitle, clean, clock, count, duration, outcome, subject, tone } from "./format.js";
import { verdict, verdictHead } from "./verdict.js";
import { named, t } from "./words.js";

export function drawDrawer(flow, actions) {
  const copyButton = (label, text) => el("button", { type: "button", on: { click: (event) => actions.copy(text(), event.target) } }, label);
  return [
    el("header", { class: tone(flow) },
      el("p", { class: "eyebrow" }, `${clock(flow.started_at)} · ${subject(flow)}`),
      el("h2", { id: "drawer-title" }, outcome(flow)),
      ...(flow.cause ? verdictHead(flow) : []),
      el("button", { type: "button", class: "close", "aria-label": t("close"), on: { click: actions.close } }, "×")),
    ...verdict(flow, actions),
    attempts(flow),
    facts(flow),
    headers("headers.answer", flow.response_headers),
    headers("headers.request", flow.request_headers),
    flow.body ? el("details", { open: true, "data-name": "body" }, el("summary", {}, t("body")),
      el("pre", { tabindex: "0", translate: "no" }, clean(pretty(flow.body)))) : "",
    el("p", { class: "actions" },
      copyButton(t("copy.json"), () => JSON.stringify(flow, null, 2)),
      copyButton(t("copy.id"), () => flow.id),
      flow.cause ? el("button", { type: "button", on: { click: () => actions.filter(flow.cause) } }, t("show_alike")) : ""),
  ].filter(Boolean);
}

function attempts(flow) {
  if (!flow.attempts.length || flow.state !== "done") return "";
  const ends = flow.attempts.map((attempt) => Math.max(0, ...attempt.phases.map((phase) => phase.end_ms)));
  const span = flow.queue_ms + flow.attempts.reduce((sum, attempt, at) => sum + attempt.waited_ms + ends[at], 0) || 1;
  let from = flow.queue_ms;
  const lanes = flow.attempts.map((attempt, at) => {
    from += attempt.waited_ms;
    const lane = attemptLane(attempt, from, ends[at], span);
    from += ends[at];
    return lane;
  });
  const names = [...new Set(flow.attempts.flatMap((attempt) => attempt.phases.map((phase) => phase.name)))];
  return el("section", {}, el("h3", {}, attemptsTitle(lanes.length)),
    flow.queue_ms >= 1 ? el("p", { class: "note" }, t("attempts.queued", { time: duration(flow.queue_ms) })) : "",
    el("ol", { class: "lanes" }, ...lanes),
    el("p", { class: "legend", "aria-hidden": "true" }, ...names.map((name) =>
      el("span", {}, swatch(name), phaseName(name)))));
}

function attemptLane(attempt, from, length, span) {
  const percent = (value) => `${Math.max(0, (value / span) * 100).toFixed(3)}%`;
  const bar = svg("svg", { class: "bar", width: "100%", height: "14", role: "img",
    "aria-label": attempt.phases.map((phase) => phaseText(phase)).join(t("list.and")) });
  bar.append(svg("rect", { class: "track", width: "100%", height: "14", rx: "4" }));
  for (const phase of attempt.phases) {
    const rect = svg("rect", { x: percent(from + phase.start_ms), width: percent(Math.max(span / 250, phase.end_ms - phase.start_ms)),
      height: "14", rx: "2", class: `phase ${clean(phase.name)}${phase.ok ? "" : " broken"}` });
    rect.append(svg("title", {}, phaseText(phase)));
    bar.append(rect);
  }
  const failure = attempt.failure;
  const told = attempt.status ? t("attempt.answered", { status: attempt.status }) : failure ? "" : t("attempt.unanswered");
  const broke = failure ? t("attempt.broke", { code: clean(named("code", failure.code)), phase: phaseName(failure.phase) }) : "";
  const what = [told, broke].filter(Boolean).join(t("list.and"));
  return el("li", {},
    el("p", {}, el("b", {}, t("attempt", { n: attempt.n })), " ", t("attempt.after", { what, time: duration(length) || "0" }),
      attempt.waited_ms >= 1 ? el("span", { class: "note" }, ` · ${t("attempt.waited", { time: duration(attempt.waited_ms) })}`) : ""),
    bar, failure?.detail ? el("p", { class: "note" }, clean(failure.detail)) : "");
}

function phaseName(name) {
  return clean(named("phase", name));
}

function phaseText(phase) {
  const text = `${phaseName(phase.name)} ${duration(phase.end_ms - phase.start_ms)}`;
  return phase.ok ? text : [text, t("attempt.failed_here")].join(t("list.and"));
}

function swatch(name) {
  return svg("svg", { width: "10", height: "10" }, svg("rect", { width: "10", height: "10", rx: "2", class: `phase ${clean(name)}` }));
}

function facts(flow) {
  const rows = [
    ["asked", `${flow.method} ${flow.host}${flow.path}`], ["provider", flow.provider], ["endpoint", flow.endpoint],
    ["model", flow.model], ["status", flow.status], ["first_byte", duration(flow.ttft_ms)], ["total", duration(flow.total_ms)],
    ["queue", flow.queue_ms >= 1 ? duration(flow.queue_ms) : ""], ["overhead", duration(flow.overhead_ms)],
    ["tokens", flow.tokens_in === null && flow.tokens_out === null ? ""
      : t("fact.tokens.both", { in: count(flow.tokens_in), out: count(flow.tokens_out) })],
    ["cache", flow.cache === "none" ? "" : named("cache", flow.cache)],
    ["app", [flow.client, agent(flow)].filter(Boolean).join(t("list.and"))], ["tenant", flow.tenant],
    ["key", flow.key === "none" ? t("fact.key.none") : flow.key && t("fact.key.fingerprint", { key: flow.key })], ["id", flow.id],
  ].filter(([, value]) => value !== "" && value !== null && value !== undefined);
  return el("section", {}, el("h3", {}, t("facts")),
    el("dl", {}, ...rows.flatMap(([name, value]) => [el("dt", {}, t(`fact.${name}`)), el("dd", {}, clean(value))])));
}

function headers(title, pairs) {
  if (!pairs?.length) return "";
  return el("details", { "data-name": title }, el("summary", {}, t(title, { n: pairs.length })),
    el("dl", { class: "headers" }, ...pairs.flatMap(([name, value]) => [el("dt", {}, clean(name)), el("dd", {}, clean(value))])));
}

function pretty(body) {
  try { return JSON.stringify(JSON.parse(body), null, 2); } catch { return body; }
}
