// Wires the page: what is known, what is shown, and what the reader does.

import { CachePanel } from "./cache.js";
import { CALLS_MAX, Calls, lighten } from "./calls.js";
import { copy } from "./copy.js";
import { el, setText, show, translate } from "./dom.js";
import { Doctor } from "./doctor.js";
import { drawDrawer } from "./drawer.js";
import { Filters, matches, writeAddress } from "./filters.js";
import { causeTitle, clean, clock, duration, learnTitles, logTrouble, number, problemText } from "./format.js";
import { replace } from "./keep.js";
import { Live, fetchAgain, fetchCauses, fetchFlow, fetchFlows } from "./live.js";
import { Overview } from "./overview.js";
import { Table } from "./table.js";
import { TAG, counted, t } from "./words.js";

document.documentElement.lang = TAG;
translate(document);

const HELD_MAX = 10000;
const FIRST_PAGE = 100;
const FURTHER_PAGE = 500;
const $ = (id) => document.getElementById(id);

const calls = new Calls();
const deadlines = new Map();
const held = new Map();
let paused = false;
let cursor = null;
let lostSince = null;
let drawing = false;
let asked = 0;
let loading = false;
let opened = null;
let drawn = null;
let shownRev = 0;
let titled = false;

const filters = new Filters(() => {
  calls.keep((call) => matches(call, filters.filters));
  redraw();
  reload(true);
});
const table = new Table($("flows"), { open: openFlow, nearEnd: () => loadOlder(false) });
const cachePanel = new CachePanel($("cache"), copy);
const doctor = new Doctor($("doctor"), copy);
const overview = new Overview($("overview"), (change) => filters.set(change));

// --- what is known -------------------------------------------------------

function learn(flow, found = false) {
  const known = calls.get(flow.id);
  if (known && known.rev >= flow.rev) return;
  const call = lighten(flow);
  if (!matches(call, filters.filters, found || known !== undefined)) { calls.remove(call.id); return; }
  calls.put(call);
  if (call.eta_ms !== null && call.state !== "done") deadlines.set(call.id, performance.now() + call.eta_ms);
  else deadlines.delete(call.id);
  filters.learn(call);
  if (opened === call.id) openFlow(call.id);
}

function take(flow) {
  if (!paused) { learn(flow); redraw(); return; }
  if (held.size < HELD_MAX && matches(lighten(flow), filters.filters)) { held.set(flow.id, true); drawPause(); }
}

// The newest, as the gateway knows them; what came in while we asked is newer than the answer, and stays.
async function reload(afresh = false) {
  const turn = ++asked;
  try {
    const page = await fetchFlows(filters.filters, null, FIRST_PAGE);
    if (turn !== asked) return;
    const newest = page.flows[0]?.seq ?? 0, oldest = page.flows.at(-1)?.seq ?? 0;
    const before = calls.list.findLast((call) => call.seq <= newest);
    const listed = new Set(page.flows.map((flow) => flow.id));
    calls.prune(page.next_cursor === null ? 0 : oldest, newest, listed);
    // Between this page and what was known there may be more; then what is older is asked for anew.
    if (afresh || cursor === null || !before || before.seq < oldest) {
      calls.keep((call) => call.seq >= oldest);
      cursor = page.next_cursor;
    }
    page.flows.forEach((flow) => learn(flow, true));
    held.clear();
    redraw();
  } catch (problem) { complain(problem); }
}

async function loadOlder(wanted) {
  if (loading || cursor === null || calls.size >= CALLS_MAX) return;
  loading = true;
  const turn = asked;
  try {
    const page = await fetchFlows(filters.filters, cursor, FURTHER_PAGE);
    if (turn !== asked) return;
    page.flows.forEach((flow) => learn(flow, true));
    cursor = page.next_cursor;
  } catch (problem) { if (wanted) complain(problem); } finally { loading = false; redraw(); }
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
  show($("flows"), calls.size > 0); // before it is drawn: what is hidden has no height
  table.show(calls);
  table.tick(deadlines);
  drawCounters();
  if (filters.unsaid) filters.draw();
  drawPause();
  show($("empty"), calls.size === 0);
  show($("clear"), filters.filtered);
  setText($("empty-title"), t(filters.filtered ? "empty.filtered" : "empty"));
  $("empty-hint").replaceChildren(...(filters.filtered ? [] : [t("empty.hint"), " ", el("code", {}, t("empty.command"))]));
  show($("more"), cursor !== null && calls.size < CALLS_MAX);
  show($("end"), cursor !== null && calls.size >= CALLS_MAX);
  document.title = `${calls.failed || ""} whygate`.trim();
}

function drawCounters() {
  const chosen = filters.filters.cause;
  const chip = (label, many, cause, name) => el("button", {
    type: "button", class: `chip ${name}`, "aria-pressed": String(chosen === cause), title: cause === "*" ? t("filter.cause.any") : cause || t("count.all"),
    on: { click: () => filters.set({ cause: chosen === cause ? "" : cause }) },
  }, el("b", {}, number(many)), " ", label);
  const chips = [chip(counted("count.call", calls.size), calls.size, "", "all")];
  if (calls.running) chips.push(el("span", { class: "chip running" }, el("i", { class: "spin", "aria-hidden": "true" }), el("b", {}, String(calls.running)), " ", t("count.running")));
  if (calls.failed) chips.push(chip(t("count.failed"), calls.failed, "*", "bad"));
  [...calls.causes].sort((a, b) => b[1] - a[1]).slice(0, 6)
    .forEach(([cause, many]) => chips.push(chip(causeTitle(cause), many, cause, "cause")));
  const signature = chips.map((node) => node.textContent + node.getAttribute("aria-pressed")).join("|");
  if ($("counters").dataset.shown === signature) return;
  const focused = $("counters").contains(document.activeElement) ? document.activeElement.title : null;
  $("counters").dataset.shown = signature;
  $("counters").replaceChildren(...chips);
  if (focused) [...$("counters").children].find((one) => one.title === focused)?.focus({ preventScroll: true });
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
    health.team?.state === "apart" ? counted("team.apart", health.team.gateways, { n: health.team.gateways, why: clean(health.team.why) }) : "",
  ].filter(Boolean);
  show($("degraded"), parts.length > 0);
  setText($("degraded"), parts.join(" "));
  show($("capture"), Boolean(health.capture));
  if (health.capture) setText($("capture-text"), captureText(health.capture));
  setText($("version"), `whygate ${clean(health.version ?? "")}`);
}

function captureText({ provider, endpoint, model, left_seconds, kept, missed }) {
  const which = clean([provider, endpoint, model].filter(Boolean).join(" ")) || t("capture.all");
  const time = duration(Math.ceil(left_seconds) * 1000);
  const parts = [t("capture", { which, time }), counted("capture.kept", kept, { n: number(kept) })];
  if (missed) parts.push(counted("capture.missed", missed, { n: number(missed) }));
  return parts.join(" ");
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
  table.select(id, false);
  let flow = null;
  try { flow = await fetchFlow(id); } catch (problem) {
    if (opened === id && drawn !== id) { complain(problem); closeFlow(); }
    return;
  }
  // Answers may overtake each other: what is older than what is shown says nothing new.
  if (opened !== id || (drawn === id && flow.rev < shownRev)) return;
  shownRev = flow.rev;
  drawOne(flow);
  if (returning && !$("drawer").contains(document.activeElement)) $("drawer").focus({ preventScroll: true });
  writeAddress(filters.filters, `#${encodeURIComponent(id)}`);
}

function drawOne(flow) {
  const drawer = $("drawer");
  const parts = drawDrawer(flow, { close: closeFlow, copy, again, open: openFlow, filter: (cause) => { closeFlow(); filters.set({ cause }); } });
  replace(drawer, parts, drawn === flow.id);
  drawn = flow.id;
  show(drawer, true);
  document.body.classList.add("with-drawer");
}

function closeFlow() {
  const id = opened;
  opened = drawn = null;
  show($("drawer"), false);
  document.body.classList.remove("with-drawer");
  writeAddress(filters.filters, "");
  if (id) table.select(id);
}

// As a command or a program that asks again; the gateway writes it.
async function again(id, form, button) {
  try { await copy((await fetchAgain(id))[form], button); } catch (problem) { complain(problem); }
}

// --- what the reader does ------------------------------------------------

// What somebody typed into the address may be no code at all.
function decoded(text) {
  try { return decodeURIComponent(text); } catch { return text; }
}

// The address says what is looked for and which call is open. A place of the page, as the skip link names one, is no call.
function follow() {
  filters.follow();
  const id = decoded(location.hash.slice(1));
  if (document.getElementById(id)) return;
  if (!id) { if (opened) closeFlow(); }
  else if (id !== opened) openFlow(id);
}

function setPaused(value) {
  paused = value;
  if (!paused) reload();
  drawPause();
}

$("pause").addEventListener("click", () => setPaused(!paused));
$("more").addEventListener("click", () => loadOlder(true));
$("doctor-open").addEventListener("click", () => doctor.open());
$("help-open").addEventListener("click", () => $("help").showModal());
$("help-close").addEventListener("click", () => $("help").close());
document.addEventListener("click", (event) => { if (!event.target.closest("#more-filters")) $("more-filters").open = false; });

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || $("help").open || $("doctor").open) return;
  if (event.key === "Escape") {
    if (document.activeElement === $("q")) $("q").blur();
    else if ($("more-filters").open) { $("more-filters").open = false; $("more-filters").firstElementChild.focus(); }
    else if (opened) closeFlow();
    return;
  }
  if (event.target.closest("input, select, textarea")) return;
  const act = {
    "/": () => $("q").focus(), "?": () => $("help").showModal(), p: () => setPaused(!paused), o: () => overview.toggle(), d: () => doctor.open(),
    f: () => $("failures").click(), g: () => scrollTo({ top: 0, behavior: "instant" }),
    j: () => move(1), k: () => move(-1), ArrowDown: () => move(1), ArrowUp: () => move(-1),
  }[event.key];
  if (!act || (event.key.startsWith("Arrow") && !table.selected)) return;
  event.preventDefault();
  act();
});

function move(by) {
  table.step(by);
  if (opened && table.selected && table.selected !== opened) openFlow(table.selected);
}

setInterval(() => { if (!document.hidden) table.tick(deadlines); }, 1000);

new Live({
  up() {
    lostSince = null;
    show($("lost"), false);
    drawLink("up");
    Promise.all([reload(), nameCauses()]).then(() => { cachePanel.refresh(); overview.rename(); redraw(); });
  },
  down(locked) {
    lostSince ??= new Date();
    drawLink("down");
    setText($("lost"), locked ? t("lost.token") : t("lost.since", { time: clock(lostSince) }));
    show($("lost"), true);
    show($("degraded"), false);
  },
  flow: take,
  gap: () => { if (!paused) reload(); },
  health: drawHealth,
});
addEventListener("popstate", follow);
addEventListener("hashchange", follow);
follow();
