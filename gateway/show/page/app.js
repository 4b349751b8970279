// Wires the page: what is known, what is shown, and what the reader does.

import { el, setText, show, translate } from "./dom.js";
import { drawDrawer } from "./drawer.js";
import { causeTitle, clean, clock, learnTitles, logTrouble, problemText } from "./format.js";
import { Live, fetchCauses, fetchFlow, fetchFlows } from "./live.js";
import { Rows } from "./rows.js";
import { TAG, counted, t } from "./words.js";

document.documentElement.lang = TAG;
translate(document);

const MAX_ROWS = 500;
const FILTERS = ["q", "provider", "cause"];
const $ = (id) => document.getElementById(id);

const flows = new Map();
const deadlines = new Map();
const held = new Map();
const providers = new Set();
const causes = new Map();
let filters = readAddress();
let paused = false;
let older = false;
let cursor = null;
let lostSince = null;
let drawing = false;
let asked = 0;
let opened = null;
let drawn = null;
let titled = false;

const rows = new Rows($("flows"), openFlow);

// --- what is known -------------------------------------------------------

// What the gateway found by words stays: it looks through the words in which the call was stored.
function learn(flow, found = false) {
  const known = flows.get(flow.id);
  if (known && known.rev >= flow.rev) return;
  if (!matches(flow, found || known !== undefined)) { flows.delete(flow.id); return; }
  flows.set(flow.id, flow);
  if (flow.eta_ms !== null && flow.state !== "done") deadlines.set(flow.id, performance.now() + flow.eta_ms);
  else deadlines.delete(flow.id);
  if (flow.provider) providers.add(flow.provider);
  if (flow.cause) causes.set(flow.cause, flow.diagnosis?.title || causeTitle(flow.cause));
  if (opened === flow.id) openFlow(flow.id);
}

function matches(flow, found = false) {
  if (filters.provider && flow.provider !== filters.provider) return false;
  if (filters.cause === "*" && !flow.cause) return false;
  if (filters.cause && filters.cause !== "*") {
    const family = filters.cause.endsWith(".*") ? filters.cause.slice(0, -1) : null;
    if (family ? !flow.cause?.startsWith(family) : flow.cause !== filters.cause) return false;
  }
  if (found) return true;
  const text = [flow.id, flow.client, flow.tenant, flow.key, flow.provider, flow.method, flow.host, flow.path, flow.endpoint,
    flow.model, flow.cause, flow.diagnosis?.title, flow.diagnosis?.what_happened].join("\n").toLowerCase();
  return filters.q.toLowerCase().split(/\s+/).every((word) => text.includes(word));
}

function newestFirst() {
  return [...flows.values()].sort((a, b) => b.seq - a.seq);
}

function take(flow) {
  if (!paused && !older) { learn(flow); redraw(); return; }
  if (flows.has(flow.id) && !paused) { learn(flow); redraw(); }
  else if (held.size < MAX_ROWS && matches(flow)) { held.set(flow.id, flow); drawPause(); }
}

async function reload() {
  const turn = ++asked;
  try {
    const page = await fetchFlows(filters, null);
    if (turn !== asked) return;
    // What came in while we asked is newer than the answer, and stays.
    const newest = page.flows[0]?.seq ?? 0;
    const listed = new Set(page.flows.map((flow) => flow.id));
    for (const flow of [...flows.values()]) if (flow.seq <= newest && !listed.has(flow.id)) flows.delete(flow.id);
    page.flows.forEach((flow) => learn(flow, true));
    held.clear();
    older = false;
    cursor = page.next_cursor;
    redraw();
  } catch (problem) { complain(problem); }
}

async function loadOlder() {
  const turn = asked;
  try {
    const page = await fetchFlows(filters, cursor);
    if (turn !== asked) return;
    page.flows.forEach((flow) => learn(flow, true));
    cursor = page.next_cursor;
    const all = newestFirst();
    if (all.length > MAX_ROWS) {
      // The newest make room, so the page stays light however far back one goes.
      all.slice(0, all.length - MAX_ROWS).forEach((flow) => flows.delete(flow.id));
      older = true;
    }
    redraw();
  } catch (problem) { complain(problem); }
}

async function nameCauses() {
  if (titled) return;
  try { learnTitles((await fetchCauses()).causes); } catch { return; }
  titled = true;
  if (opened) openFlow(opened);
}

// --- what is shown -------------------------------------------------------

function redraw() {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(() => { drawing = false; draw(); });
}

function draw() {
  let all = newestFirst();
  if (all.length > MAX_ROWS) {
    all.slice(MAX_ROWS).forEach((flow) => flows.delete(flow.id));
    all = all.slice(0, MAX_ROWS);
    cursor = String(all[all.length - 1].seq);
  }
  rows.draw(all);
  rows.tick(deadlines);
  drawCounters(all);
  drawChoices();
  drawPause();
  const filtered = FILTERS.some((name) => filters[name]);
  show($("empty"), all.length === 0);
  show($("flows"), all.length > 0);
  show($("clear"), filtered);
  setText($("empty-title"), t(filtered ? "empty.filtered" : "empty"));
  $("empty-hint").replaceChildren(...(filtered ? [] : [t("empty.hint"), " ", el("code", {}, t("empty.command"))]));
  show($("more"), cursor !== null);
  show($("older"), older);
  document.title = `${all.filter((flow) => flow.cause).length || ""} whygate`.trim();
}

function drawCounters(all) {
  const tally = new Map();
  for (const flow of all) if (flow.cause) tally.set(flow.cause, (tally.get(flow.cause) ?? 0) + 1);
  const running = all.filter((flow) => flow.state !== "done").length;
  const failed = all.filter((flow) => flow.cause).length;
  const chip = (label, number, cause, name) => el("button", {
    type: "button", class: `chip ${name}`, "aria-pressed": String(filters.cause === cause), title: cause === "*" ? t("filter.cause.any") : cause || t("count.all"),
    on: { click: () => setFilters({ cause: filters.cause === cause ? "" : cause }) },
  }, el("b", {}, String(number)), " ", label);
  const chips = [chip(counted("count.call", all.length), all.length, "", "all")];
  if (running) chips.push(el("span", { class: "chip running" }, el("i", { class: "spin", "aria-hidden": "true" }), el("b", {}, String(running)), " ", t("count.running")));
  if (failed) chips.push(chip(t("count.failed"), failed, "*", "bad"));
  [...tally].sort((a, b) => b[1] - a[1]).slice(0, 6)
    .forEach(([cause, number]) => chips.push(chip(clean(causes.get(cause) ?? causeTitle(cause)), number, cause, "cause")));
  const signature = chips.map((node) => node.textContent + node.getAttribute("aria-pressed")).join("|");
  if ($("counters").dataset.shown !== signature) {
    $("counters").dataset.shown = signature;
    $("counters").replaceChildren(...chips);
  }
}

function drawChoices() {
  choices($("provider"), [...providers].sort(), (name) => clean(name), filters.provider);
  const slugs = [...new Set([...causes.keys(), ...(filters.cause && filters.cause !== "*" ? [filters.cause] : [])])].sort();
  choices($("cause"), slugs, (slug) => clean(slug), filters.cause);
  $("failures").setAttribute("aria-pressed", String(filters.cause === "*"));
}

function choices(select, values, label, chosen) {
  const have = new Set([...select.options].map((option) => option.value));
  if (chosen && !have.has(chosen) && !values.includes(chosen)) values = [...values, chosen];
  for (const value of values) if (!have.has(value)) select.append(el("option", { value }, label(value)));
  if (select.value !== chosen) select.value = chosen;
}

function drawPause() {
  $("pause").setAttribute("aria-pressed", String(paused));
  setText($("pause"), !paused ? t("pause") : held.size ? t("follow.new", { n: held.size }) : t("follow"));
}

function drawHealth(health) {
  const log = health.log ?? {};
  const parts = [
    log.degraded ? logTrouble(log.degraded) : health.state === "draining" ? t("draining") : "",
    log.dropped ? counted("log.dropped", log.dropped, { n: log.dropped }) : "",
  ].filter(Boolean);
  show($("degraded"), parts.length > 0);
  setText($("degraded"), parts.join(" "));
  setText($("version"), `whygate ${clean(health.version ?? "")}`);
}

function drawLink(state) {
  $("link").dataset.state = state;
  setText($("link-text"), t(`link.${state}`));
}

function complain(problem) {
  if (lostSince === null) { setText($("lost"), problemText(problem)); show($("lost"), true); }
}

// --- one call ------------------------------------------------------------

async function openFlow(id) {
  const returning = opened === null ? document.activeElement : null;
  opened = id;
  rows.select(id, false);
  let flow = flows.get(id);
  if (flow) drawOne(flow);
  try { flow = await fetchFlow(id); } catch (problem) { if (!flow) { complain(problem); closeFlow(); } return; }
  if (opened !== id) return;
  drawOne(flow);
  if (returning) $("drawer").focus({ preventScroll: true });
  history.replaceState(null, "", `${location.pathname}${location.search}#${encodeURIComponent(id)}`);
}

function drawOne(flow) {
  const drawer = $("drawer");
  const parts = drawDrawer(flow, { close: closeFlow, copy, filter: (cause) => { closeFlow(); setFilters({ cause }); } });
  // The same call, drawn anew: what the reader has opened or closed in it stays so, and the focus stays in it.
  const folds = new Map(drawn === flow.id ? [...drawer.querySelectorAll("details")].map((one) => [one.dataset.name, one.open]) : []);
  const focused = drawn === flow.id && drawer.contains(document.activeElement);
  drawer.replaceChildren(...parts);
  for (const one of drawer.querySelectorAll("details")) if (folds.has(one.dataset.name)) one.open = folds.get(one.dataset.name);
  if (focused) drawer.focus({ preventScroll: true });
  drawn = flow.id;
  show(drawer, true);
  document.body.classList.add("with-drawer");
}

function closeFlow() {
  const id = opened;
  opened = drawn = null;
  show($("drawer"), false);
  document.body.classList.remove("with-drawer");
  history.replaceState(null, "", location.pathname + location.search);
  if (id) rows.select(id);
}

async function copy(text, button) {
  const label = button.textContent;
  setText(button, t(await copied(text) ? "copy.done" : "copy.refused"));
  setTimeout(() => setText(button, label), 1500);
}

// Under an address that is neither https nor this machine, browsers have no clipboard but this old way to it.
async function copied(text) {
  try { await navigator.clipboard.writeText(text); return true; } catch { /* the old way */ }
  const field = el("textarea", { class: "sr", readonly: true, "aria-hidden": "true" });
  field.value = text;
  const focused = document.activeElement;
  document.body.append(field);
  field.select();
  try { return document.execCommand("copy"); } catch { return false; } finally { field.remove(); focused?.focus(); }
}

// --- what the reader does ------------------------------------------------

function readAddress() {
  const query = new URLSearchParams(location.search);
  return Object.fromEntries(FILTERS.map((name) => [name, query.get(name) ?? ""]));
}

function setFilters(change) {
  filters = { ...filters, ...change };
  const query = new URLSearchParams(Object.entries(filters).filter(([, value]) => value));
  history.replaceState(null, "", query.size ? `?${query}` : location.pathname);
  if ($("q").value !== filters.q) $("q").value = filters.q;
  for (const flow of [...flows.values()]) if (!matches(flow)) flows.delete(flow.id);
  redraw();
  reload();
}

function setPaused(value) {
  paused = value;
  if (!paused) reload();
  drawPause();
}

let typing = 0;
$("q").value = filters.q;
$("q").addEventListener("input", () => { clearTimeout(typing); typing = setTimeout(() => setFilters({ q: $("q").value.trim() }), 150); });
$("filters").addEventListener("submit", (event) => event.preventDefault());
$("provider").addEventListener("change", () => setFilters({ provider: $("provider").value }));
$("cause").addEventListener("change", () => setFilters({ cause: $("cause").value }));
$("failures").addEventListener("click", () => setFilters({ cause: filters.cause === "*" ? "" : "*" }));
$("clear").addEventListener("click", () => setFilters({ q: "", provider: "", cause: "" }));
$("pause").addEventListener("click", () => setPaused(!paused));
$("back").addEventListener("click", reload);
$("more").addEventListener("click", loadOlder);

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape") {
    if (document.activeElement === $("q")) $("q").blur();
    else if (opened) closeFlow();
    return;
  }
  if (event.target.closest("input, select, textarea")) return;
  const act = {
    "/": () => $("q").focus(), p: () => setPaused(!paused),
    j: () => move(1), k: () => move(-1), ArrowDown: () => move(1), ArrowUp: () => move(-1),
  }[event.key];
  if (!act || (event.key.startsWith("Arrow") && !rows.selected)) return;
  event.preventDefault();
  act();
});

function move(by) {
  rows.step(by);
  if (opened && rows.selected && rows.selected !== opened) openFlow(rows.selected);
}

setInterval(() => { if (!document.hidden) rows.tick(deadlines); }, 1000);

new Live({
  up() { lostSince = null; show($("lost"), false); drawLink("up"); reload(); nameCauses(); },
  down(locked) {
    lostSince ??= new Date();
    drawLink("down");
    setText($("lost"), locked ? t("lost.token") : t("lost.since", { time: clock(lostSince) }));
    show($("lost"), true);
    show($("degraded"), false);
  },
  flow: take,
  gap: () => { if (!paused && !older) reload(); },
  health: drawHealth,
});
if (location.hash.length > 1) openFlow(decodeURIComponent(location.hash.slice(1)));
