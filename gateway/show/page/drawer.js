// One call in full: the verdict first, then what was done, then the raw facts.

import { el, svg } from "./dom.js";
import { FAULTS, PRECISIONS, agent, clean, clock, count, duration, outcome, subject, tone } from "./words.js";

export function drawDrawer(flow, actions) {
  const kind = tone(flow);
  return [
    el("header", { class: kind },
      el("p", { class: "eyebrow" }, `${clock(flow.started_at)} · ${subject(flow)}`),
      el("h2", { id: "drawer-title" }, outcome(flow)),
      flow.cause ? el("p", { class: "tags" },
        el("code", {}, clean(flow.cause)),
        flow.fault ? el("span", { title: "Who can fix it" }, FAULTS[flow.fault] ?? clean(flow.fault)) : "",
        flow.precision ? el("span", { title: "How sure this is" }, PRECISIONS[flow.precision] ?? clean(flow.precision)) : "") : "",
      el("button", { type: "button", class: "close", "aria-label": "Close", on: { click: actions.close } }, "×")),
    ...verdict(flow),
    attempts(flow),
    facts(flow),
    headers("Answer headers", flow.response_headers),
    headers("Request headers", flow.request_headers),
    flow.body ? el("details", { open: true }, el("summary", {}, "What the provider answered"),
      el("pre", { tabindex: "0" }, clean(pretty(flow.body)))) : "",
    el("p", { class: "actions" },
      el("button", { type: "button", on: { click: (event) => actions.copy(JSON.stringify(flow, null, 2), event.target) } }, "Copy as JSON"),
      el("button", { type: "button", on: { click: (event) => actions.copy(flow.id, event.target) } }, "Copy id"),
      flow.cause ? el("button", { type: "button", on: { click: () => actions.filter(flow.cause) } }, "Show all like this") : ""),
  ].filter(Boolean);
}

function verdict(flow) {
  const said = flow.diagnosis;
  if (!said) {
    const note = flow.state === "done" ? "" : clean(flow.wait_reason ?? "");
    return note ? [el("section", {}, el("p", { class: "happened" }, note))] : [];
  }
  return [el("section", {},
    el("p", { class: "happened" }, clean(said.what_happened)),
    list("What to do", said.what_to_do, "ol", "todo"),
    list("What we saw", said.evidence, "ul", "evidence"),
    slugs("It could also be", said.alternatives),
    slugs("Ruled out", said.ruled_out))];
}

function list(title, items, tag, name) {
  if (!items?.length) return "";
  return el("div", { class: name }, el("h3", {}, title), el(tag, {}, ...items.map((item) => el("li", {}, clean(item)))));
}

function slugs(title, items) {
  if (!items?.length) return "";
  return el("div", { class: "slugs" }, el("h3", {}, title),
    el("p", {}, ...items.map((item) => el("code", {}, clean(item)))));
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
  return el("section", {}, el("h3", {}, lanes.length > 1 ? `${lanes.length} attempts` : "One attempt"),
    flow.queue_ms >= 1 ? el("p", { class: "note" }, `First ${duration(flow.queue_ms)} in our queue.`) : "",
    el("ol", { class: "lanes" }, ...lanes),
    el("p", { class: "legend", "aria-hidden": "true" }, ...names.map((name) =>
      el("span", {}, swatch(name), clean(name).replaceAll("_", " ")))));
}

function attemptLane(attempt, from, length, span) {
  const percent = (value) => `${Math.max(0, (value / span) * 100).toFixed(3)}%`;
  const bar = svg("svg", { class: "bar", width: "100%", height: "14", role: "img",
    "aria-label": attempt.phases.map((phase) => `${clean(phase.name)} ${duration(phase.end_ms - phase.start_ms)}`).join(", ") });
  bar.append(svg("rect", { class: "track", width: "100%", height: "14", rx: "4" }));
  for (const phase of attempt.phases) {
    const rect = svg("rect", { x: percent(from + phase.start_ms), width: percent(Math.max(span / 250, phase.end_ms - phase.start_ms)),
      height: "14", rx: "2", class: `phase ${clean(phase.name)}${phase.ok ? "" : " broken"}` });
    rect.append(svg("title", {}, `${clean(phase.name)}: ${duration(phase.end_ms - phase.start_ms)}${phase.ok ? "" : ", failed here"}`));
    bar.append(rect);
  }
  const failure = attempt.failure;
  const told = attempt.status ? `answered ${attempt.status}` : failure ? "" : "no answer";
  const broke = failure ? `${clean(failure.code).replaceAll("_", " ")} during ${clean(failure.phase).replaceAll("_", " ")}` : "";
  return el("li", {},
    el("p", {}, el("b", {}, `Try ${attempt.n}`), ` ${[told, broke].filter(Boolean).join(", ")} after ${duration(length) || "0"}`,
      attempt.waited_ms >= 1 ? el("span", { class: "note" }, ` · waited ${duration(attempt.waited_ms)} before`) : ""),
    bar, failure?.detail ? el("p", { class: "note" }, clean(failure.detail)) : "");
}

function swatch(name) {
  return svg("svg", { width: "10", height: "10" }, svg("rect", { width: "10", height: "10", rx: "2", class: `phase ${clean(name)}` }));
}

function facts(flow) {
  const rows = [
    ["Asked", `${flow.method} ${flow.host}${flow.path}`], ["Provider", flow.provider], ["Endpoint", flow.endpoint],
    ["Model", flow.model], ["Status", flow.status], ["First byte", duration(flow.ttft_ms)], ["Total", duration(flow.total_ms)],
    ["In our queue", flow.queue_ms >= 1 ? duration(flow.queue_ms) : ""], ["Added by us", duration(flow.overhead_ms)],
    ["Tokens", flow.tokens_in === null && flow.tokens_out === null ? "" : `${count(flow.tokens_in)} in, ${count(flow.tokens_out)} out`],
    ["Cache", flow.cache === "none" ? "" : flow.cache], ["App", [flow.client, agent(flow)].filter(Boolean).join(", ")], ["Tenant", flow.tenant],
    ["Key", flow.key && flow.key !== "none" ? `fingerprint ${flow.key}` : flow.key], ["Id", flow.id],
  ].filter(([, value]) => value !== "" && value !== null && value !== undefined);
  return el("section", {}, el("h3", {}, "Facts"),
    el("dl", {}, ...rows.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, clean(value))])));
}

function headers(title, pairs) {
  if (!pairs?.length) return "";
  return el("details", {}, el("summary", {}, `${title} (${pairs.length})`),
    el("dl", { class: "headers" }, ...pairs.flatMap(([name, value]) => [el("dt", {}, clean(name)), el("dd", {}, clean(value))])));
}

function pretty(body) {
  try { return JSON.stringify(JSON.parse(body), null, 2); } catch { return body; }
}
