// One call in full: the verdict first, then what was done, then the raw facts.

import { el } from "./dom.js";
import { agent, attemptsTitle, clean, clock, duration, outcome, subject, tone } from "./format.js";
import { verdict, verdictHead } from "./verdict.js";
import { waterfall } from "./waterfall.js";
import { has, named, t } from "./words.js";
import { costText, tokensText } from "./worth.js";

export function drawDrawer(flow, actions) {
  const copyButton = (label, text) => el("button", { type: "button", "data-focus": label, on: { click: (event) => actions.copy(text(), event.target) } }, label);
  return [
    el("header", { class: tone(flow), role: "none" },
      el("p", { class: "eyebrow" }, `${clock(flow.started_at)} · ${subject(flow)}`),
      el("h2", { id: "drawer-title" }, outcome(flow)),
      ...(flow.cause ? verdictHead(flow) : []),
      el("button", { type: "button", class: "close", "data-focus": "close", "aria-label": t("close"), on: { click: actions.close } }, "×")),
    ...verdict(flow, actions),
    attempts(flow),
    facts(flow),
    headers("headers.answer", flow.response_headers),
    headers("headers.request", flow.request_headers),
    flow.request_body ? el("details", { "data-name": "request" }, el("summary", { "data-focus": "request" }, t("body.request")),
      el("pre", { tabindex: "0", "data-focus": "asked", translate: "no" }, clean(pretty(flow.request_body)))) : "",
    flow.body ? el("details", { open: true, "data-name": "body" }, el("summary", { "data-focus": "body" }, t("body")),
      el("pre", { tabindex: "0", "data-focus": "text", translate: "no" }, clean(pretty(flow.body)))) : "",
    el("p", { class: "actions" },
      ...["curl", "python"].map((form) => el("button", { type: "button", "data-focus": form, on: { click: (event) => actions.again(flow.id, form, event.target) } }, t(`copy.${form}`))),
      copyButton(t("copy.json"), () => JSON.stringify(flow, null, 2)),
      copyButton(t("copy.id"), () => flow.id),
      flow.cause ? el("button", { type: "button", "data-focus": "alike", on: { click: () => actions.filter(flow.cause) } }, t("show_alike")) : ""),
  ].filter(Boolean);
}

function attempts(flow) {
  const [picture, ...table] = waterfall(flow);
  if (!picture) return "";
  return el("section", {}, el("h3", {}, flow.attempts.length ? attemptsTitle(flow.attempts.length) : t("time")),
    picture, flow.attempts.length ? el("ol", { class: "lanes" }, ...flow.attempts.map(told)) : "", ...table);
}

// What came of one attempt, in words.
function told(attempt) {
  const failure = attempt.failure;
  const length = Math.max(0, ...attempt.phases.map((phase) => phase.end_ms));
  const answer = attempt.status ? t("attempt.answered", { status: attempt.status }) : failure ? "" : t("attempt.unanswered");
  const broke = failure ? t("attempt.broke", { code: clean(named("code", failure.code)), phase: clean(named("phase", failure.phase)) }) : "";
  const what = [answer, broke].filter(Boolean).join(t("list.and"));
  return el("li", {},
    el("p", {}, el("b", {}, t("attempt", { n: attempt.n })), " ",
      attempt.fallback ? `${t("attempt.fallback", { name: clean(attempt.fallback) })}${t("list.and")}` : "",
      t("attempt.after", { what, time: duration(length) || "0" }),
      attempt.waited_ms >= 1 ? el("span", { class: "note" }, ` · ${t("attempt.waited", { time: duration(attempt.waited_ms) })}`) : ""),
    failure?.detail ? el("p", { class: "note" }, clean(failure.detail)) : "");
}

function facts(flow) {
  const rows = [
    ["asked", `${flow.method} ${flow.host}${flow.path}`], ["upstream", flow.upstream], ["provider", flow.provider], ["endpoint", flow.endpoint],
    ["model", flow.model], ["status", flow.status], ["fallback", flow.fallback], ["first_byte", duration(flow.ttft_ms)], ["total", duration(flow.total_ms)],
    ["queue", flow.queue_ms >= 1 ? duration(flow.queue_ms) : ""], ["overhead", duration(flow.overhead_ms)],
    ["tokens", tokensText(flow)], ["cost", costText(flow)],
    ["cache", flow.cache === "none" ? "" : cacheText(flow.cache)],
    ["app", [flow.app, flow.client, agent(flow)].filter(Boolean).join(t("list.and"))], ["tenant", flow.tenant],
    ["key", flow.key === "none" ? t("fact.key.none") : flow.key && t("fact.key.fingerprint", { key: flow.key })], ["replay_of", flow.replay_of], ["id", flow.id],
  ].filter(([, value]) => value !== "" && value !== null && value !== undefined);
  return el("section", {}, el("h3", {}, t("facts")),
    el("dl", {}, ...rows.flatMap(([name, value]) => [el("dt", {}, t(`fact.${name}`)), el("dd", {}, clean(value))])));
}

function cacheText(word) {
  return has(`cache.${word}.hint`) ? t("fact.cache.both", { word: named("cache", word), hint: t(`cache.${word}.hint`) }) : word;
}

function headers(title, pairs) {
  if (!pairs?.length) return "";
  return el("details", { "data-name": title }, el("summary", { "data-focus": title }, t(title, { n: pairs.length })),
    el("dl", { class: "headers" }, ...pairs.flatMap(([name, value]) => [el("dt", {}, clean(name)), el("dd", {}, clean(value))])));
}

function pretty(body) {
  try { return JSON.stringify(JSON.parse(body), null, 2); } catch { return body; }
}
