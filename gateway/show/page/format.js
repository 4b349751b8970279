// Turns values into words. Pure; knows nothing of the document.

import { LOCALE, counted, has, named, t } from "./words.js";

// Captured text must not be able to reorder or hide what stands around it.
const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;

export function clean(text) {
  return String(text ?? "").replace(HIDDEN, (c) => "\\u" + c.charCodeAt(0).toString(16).padStart(4, "0"));
}

export function number(value, digits = 0) {
  return new Intl.NumberFormat(LOCALE, { minimumFractionDigits: digits, maximumFractionDigits: digits }).format(value);
}

export function duration(ms) {
  if (ms === null || ms === undefined) return "";
  if (ms < 1) return ms === 0 ? "0" : `<${t("unit.ms", { n: 1 })}`;
  if (ms < 1000) return t("unit.ms", { n: Math.round(ms) });
  if (ms < 10000) return t("unit.s", { n: number(ms / 1000, ms % 1000 === 0 ? 0 : 1) });
  if (ms < 90000) return t("unit.s", { n: Math.round(ms / 1000) });
  const seconds = Math.round(ms / 1000);
  const minutes = Math.floor(seconds / 60);
  if (minutes < 90) return t("unit.min_s", { min: minutes, s: seconds % 60 });
  return t("unit.h_min", { h: number(Math.floor(minutes / 60)), min: minutes % 60 });
}

export function count(value) {
  if (value === null || value === undefined) return "–";
  if (value < 10000) return String(value);
  return value < 1e6 ? t("unit.thousand", { n: number(value / 1000, value < 1e5 ? 1 : 0) }) : t("unit.million", { n: number(value / 1e6, 1) });
}

export function size(bytes) {
  const unit = bytes < 1e6 ? "kilobyte" : bytes < 1e9 ? "megabyte" : "gigabyte";
  const value = bytes / { kilobyte: 1e3, megabyte: 1e6, gigabyte: 1e9 }[unit];
  return new Intl.NumberFormat(LOCALE, { style: "unit", unit, maximumFractionDigits: value < 100 ? 1 : 0 }).format(value);
}

export function dollars(value) {
  const digits = value < 100 ? 2 : 0;
  return new Intl.NumberFormat(LOCALE, { style: "currency", currency: "USD", minimumFractionDigits: digits, maximumFractionDigits: digits }).format(value);
}

export function clock(iso) {
  const moment = new Date(iso);
  if (Number.isNaN(moment.getTime())) return clean(iso);
  const time = moment.toLocaleTimeString(LOCALE, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
  const today = new Date().toDateString() === moment.toDateString();
  return today ? time : `${moment.toLocaleDateString(LOCALE, { month: "short", day: "numeric" })} ${time}`;
}

// Titles of causes in the reader's language, as the gateway told them; a slug stands for itself until then.
const titles = new Map();

export function learnTitles(causes) {
  for (const cause of causes) titles.set(cause.slug, cause.title);
}

export function causeTitle(slug) {
  return clean(titles.get(slug) ?? slug);
}

export function outcome(flow) {
  if (flow.cause) return clean(flow.diagnosis?.title || causeTitle(flow.cause));
  if (flow.state !== "done") return clean(named("state", flow.state));
  if (flow.kind !== "api") return t(flow.kind === "tunnel" ? "outcome.tunnel" : "outcome.websocket");
  const tries = flow.tries ?? flow.attempts.length;
  return tries > 1 ? t("outcome.good_on_try", { n: tries }) : t("outcome.good");
}

// Why it failed and the first thing to do, in one breath.
export function sentence(flow) {
  const said = flow.diagnosis;
  return said ? { why: clean(said.what_happened), what: clean(said.what_to_do?.[0] ?? "") } : null;
}

const REASONS = [
  [/^configured limit of ([\d,.]+) requests at the same time$/, ([, n]) => t("reason.at_once", { n })],
  [/^the provider's limit of ([\d,.]+) requests at the same time$/, ([, n]) => t("reason.at_once_stated", { n })],
  [/^configured limit of (\S+) (?:(input|output) )?(requests|tokens) per (.+)$/, (found) => t("reason.configured", limit(found))],
  [/^the provider's limit of (\S+) (?:(input|output) )?(requests|tokens) per (.+)$/, (found) => t("reason.stated", limit(found))],
  [/^the provider asked to wait/, () => t("reason.paused")],
  [/^no limit is known yet/, () => t("reason.starting")],
  [/^the provider has refused calls lately/, () => t("reason.pace")],
  [/^waiting to try again: (.*)$/, ([, title]) => again(title)],
  [/^asking the fallback (.*)$/, ([, name]) => t("reason.fallback", { name })],
];

// The gateway says in English, or with a title in its own language, why a call waits.
export function waitReason(flow) {
  const told = flow.wait_reason ?? "";
  for (const [form, say] of REASONS) {
    const found = form.exec(told);
    if (found) return clean(say(found));
  }
  return LOCALE.startsWith("en") ? clean(told) : "";
}

function limit([, n, side, kind, span]) {
  const named = ["second", "minute", "hour", "day"].includes(span);
  const per = named ? t(`per.${span}`) : t("per.time", { time: t("unit.s", { n: span.replace(/ s$/, "") }) });
  return { n, kind: t(`counted.${side ?? kind}`), span: per };
}

function again(title) {
  const ours = [...titles.values()].find((one) => one.toLowerCase() === title);
  return ours ? t("reason.again_after", { title: ours }) : t("reason.again");
}

export function wait(flow, left_ms) {
  const reason = waitReason(flow);
  if (left_ms === null) return reason;
  const time = left_ms < 90000 ? t("unit.s", { n: Math.ceil(left_ms / 1000) }) : duration(left_ms);
  const eta = left_ms > 500 ? t("wait.left", { time }) : t("wait.soon");
  return reason ? t("wait.with_reason", { reason, eta }) : eta;
}

const LOG_TROUBLES = [
  [/^The disk is full/, "log.full"], [/^Another program holds the log/, "log.locked"], [/^The log file is damaged/, "log.damaged"],
];

// What the gateway says about its log, which it says in English.
export function logTrouble(text) {
  if (LOCALE.startsWith("en")) return clean(text);
  const known = LOG_TROUBLES.find(([form]) => form.test(text));
  const detail = /^The log cannot be written \((.*)\)\. /.exec(text)?.[1] ?? text;
  return clean(`${known ? t(known[1]) : t("log.broken", { detail })} ${t("log.later")}`);
}

export function problemText(problem) {
  if (problem.code && has(`error.${problem.code}`)) return t(`error.${problem.code}`);
  return problem.status ? t("error.other", { status: problem.status }) : t("error.unreachable");
}

export function tone(flow) {
  if (flow.state !== "done") return "running";
  if (!flow.cause) return "ok";
  if (flow.fallback || flow.cache === "stale") return "warn"; // the provider failed, and the app has an answer
  return /^(rate_limit|client)\./.test(flow.cause) || flow.cause === "proxy.queue_timeout" ? "warn" : "bad";
}

export function subject(flow) {
  if (flow.model) return clean(flow.model);
  return clean(flow.kind === "api" ? flow.path || flow.host : flow.host);
}

// The app as it names itself: the product part of its user agent.
export function agent(flow) {
  if (flow.agent !== undefined) return flow.agent;
  const told = flow.request_headers?.find(([name]) => name === "user-agent")?.[1] ?? "";
  return clean(told.split(/[\s(]/)[0]).slice(0, 40);
}

export function subjectDetail(flow) {
  const parts = [flow.provider || flow.host, flow.kind === "api" ? flow.endpoint : named("kind", flow.kind)];
  if (flow.stream) parts.push(t("row.stream"));
  if (flow.tenant && flow.tenant !== "default") parts.push(flow.tenant);
  parts.push(agent(flow), flow.app || (agent(flow) ? "" : flow.client));
  return clean(parts.filter(Boolean).join(" · "));
}

export function attemptsTitle(many) {
  return counted("attempts", many, { n: many });
}
