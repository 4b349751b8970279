// Where the time of a call went: a picture with one row for each attempt, the same in words, and the same as a table.

import { el, svg } from "./dom.js";
import { STRIP_PX, drawStrip, eventsText, strip } from "./events.js";
import { attemptsTitle, clean, duration } from "./format.js";
import { ticks, timeline } from "./timeline.js";
import { named, t } from "./words.js";

const AXIS_PX = 20;
const LABEL_PX = 16;
const BAR_PX = 16;
const ROW_PX = LABEL_PX + BAR_PX + 8;
// A letter and the narrowest picture there is, for what fits into a bar.
const LETTER_PX = { narrow: 6.4, wide: 11.5 };
const NARROWEST_PX = 296;
const LABEL_CHARS = 40;
const THINNEST = 1 / 200;
const DRAWN = ["queue", "wait", "pool", "dns", "connect", "tls", "send", "first_byte", "body"];

// Lines over the colour, so that nobody has to tell colours apart; two stretches without any are the plain ones.
const PATTERNS = {
  queue: [6, "M-1,1 l2,-2 M0,6 l6,-6 M5,7 l2,-2"],
  wait: [6, "M-1,5 l2,2 M0,0 l6,6 M5,-1 l2,2"],
  dns: [5, "M1.5,2.5 h2"],
  connect: [5, "M0,2.5 h5"],
  tls: [4, "M2,0 v4"],
  send: [5, "M0,2.5 h5 M2.5,0 v5"],
  body: [9, "M-1,1 l2,-2 M0,9 l9,-9 M8,10 l2,-2"],
};

export function waterfall(flow) {
  const events = strip(flow);
  if (flow.state !== "done" || (!flow.attempts.length && !events && !(flow.queue_ms >= 1))) return [];
  const line = timeline(flow, events?.end);
  if (!line.rows.length && !events) return [];
  const readout = el("p", { class: "readout note", role: "status" }, t("time.hint"));
  return [
    el("div", { class: "waterfall" }, picture(line, events, readout), legend(line), events ? el("p", { class: "note events" }, eventsText(events)) : "", readout),
    ...(line.rows.length ? [el("details", { "data-name": "times" }, el("summary", { "data-focus": "times" }, t("time.table")), table(line))] : []),
  ];
}

// --- the picture ---------------------------------------------------------

function picture(line, events, readout) {
  const x = (at) => `${((Math.min(at, line.span) / line.span) * 100).toFixed(3)}%`;
  const reach = (start, end) => x(Math.max(end - start, line.span * THINNEST));
  const height = AXIS_PX + line.rows.length * ROW_PX + (events ? LABEL_PX + STRIP_PX : 0);
  const image = svg("svg", { width: "100%", height, role: "img", tabindex: "0", "data-focus": "waterfall", "aria-label": inWords(line, events) },
    svg("defs", {}, ...Object.entries(PATTERNS).map(pattern)), axis(line.span, x, height));
  const stops = [];
  line.rows.forEach((row, index) => {
    const y = AXIS_PX + index * ROW_PX;
    image.append(
      svg("text", { x: 0, y: y + 12, class: "row" }, clipped(rowName(row))),
      svg("text", { x: "100%", y: y + 12, class: "sum" }, duration(row.length)));
    for (const one of row.bars) {
      const drawn = bar(one, y + LABEL_PX, x, reach, line.span);
      image.append(drawn);
      stops.push({ node: drawn, text: barText(row, one) });
    }
  });
  if (line.first !== null) image.append(svg("line", { class: "first", x1: x(line.first), x2: x(line.first), y1: AXIS_PX - 4, y2: height }));
  if (events) {
    const y = AXIS_PX + line.rows.length * ROW_PX;
    image.append(svg("text", { x: 0, y: y + 12, class: "row" }, t("events")), ...drawStrip(events, y + LABEL_PX, x, reach));
  }
  return tellOn(image, stops, readout);
}

function pattern([name, [side, path]]) {
  return svg("pattern", { id: `lines-${name}`, width: side, height: side, patternUnits: "userSpaceOnUse" }, svg("path", { d: path, class: "lines" }));
}

// Every mark has its line; one whose words would run into those of the next has no words.
function axis(span, x, height) {
  let free = Infinity;
  const marks = ticks(span).reverse().map((at) => {
    const text = duration(at);
    const anchor = at === 0 ? "start" : at / span > 0.93 ? "end" : "middle";
    const left = (at / span) * NARROWEST_PX - width(text) * { start: 0, middle: 0.5, end: 1 }[anchor];
    const line = svg("line", { x1: x(at), x2: x(at), y1: AXIS_PX - 4, y2: height });
    if (left + width(text) > free) return [line];
    free = left - LETTER_PX.narrow;
    return [line, svg("text", { x: x(at), y: 10, "text-anchor": anchor }, text)];
  });
  return svg("g", { class: "axis" }, ...marks.reverse().flat());
}

function bar(one, y, x, reach, span) {
  const place = { x: x(one.start), width: reach(one.start, one.end), y, height: BAR_PX, rx: 2 };
  const name = stretchName(one.name);
  const group = svg("g", { class: `stretch of-${kind(one.name)}${one.ok ? "" : " broken"}` }, svg("rect", { ...place, class: "colour" }));
  if (kind(one.name) in PATTERNS) group.append(svg("rect", { ...place, class: "over", fill: `url(#lines-${kind(one.name)})` }));
  group.append(svg("rect", { ...place, class: "edge" }));
  if (((one.end - one.start) / span) * NARROWEST_PX > width(name) + 8) {
    group.append(svg("svg", { x: x(one.start), y, width: 1, height: BAR_PX, overflow: "visible" }, svg("text", { x: 5, y: 12, class: "name" }, name)));
  }
  if (!one.ok) {
    group.append(svg("svg", { x: x(Math.max(one.end, one.start + span * THINNEST)), y, width: 1, height: BAR_PX, overflow: "visible" },
      svg("circle", { class: "badge", cy: BAR_PX / 2, r: 7 }), svg("path", { class: "cross", d: "M-3,5 l6,6 M3,5 l-6,6" })));
  }
  return group;
}

function width(text) {
  return [...text].reduce((sum, letter) => sum + (letter.codePointAt(0) > 0x2e7f ? LETTER_PX.wide : LETTER_PX.narrow), 0);
}

function kind(name) {
  return DRAWN.includes(name) ? name : "pool";
}

// What a bar says is told for the pointer, and for the arrow keys while the picture has the focus.
function tellOn(image, stops, readout) {
  let at = -1;
  const tell = (index) => {
    at = index;
    stops.forEach(({ node }, other) => node.classList.toggle("current", other === index));
    readout.textContent = stops[index]?.text ?? t("time.hint");
  };
  stops.forEach(({ node }, index) => node.addEventListener("pointerenter", () => tell(index)));
  image.addEventListener("pointerleave", () => tell(-1));
  image.addEventListener("focus", () => { if (at < 0 && stops.length && image.matches(":focus-visible")) tell(0); });
  image.addEventListener("blur", () => tell(-1));
  image.addEventListener("keydown", (event) => {
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: stops.length - 1 }[event.key];
    if (to === undefined || !stops.length) return;
    event.preventDefault();
    tell(Math.max(0, Math.min(stops.length - 1, to)));
  });
  return image;
}

function legend(line) {
  const names = new Set(line.rows.flatMap((row) => row.bars.map((one) => one.name)));
  const swatch = (name) => svg("svg", { width: 14, height: 12, class: `stretch of-${kind(name)}` }, svg("rect", { width: 14, height: 12, rx: 2, class: "colour" }),
    svg("rect", { width: 14, height: 12, rx: 2, fill: kind(name) in PATTERNS ? `url(#lines-${kind(name)})` : "none" }));
  const mark = svg("svg", { width: 8, height: 12 }, svg("line", { class: "first", x1: 4, x2: 4, y1: 0, y2: 12 }));
  return el("p", { class: "legend", "aria-hidden": "true" },
    ...[...names].map((name) => el("span", {}, swatch(name), stretchName(name))),
    line.first === null ? "" : el("span", {}, mark, t("time.first", { time: duration(line.first) })));
}

// --- in words ------------------------------------------------------------

function stretchName(name) {
  return clean(named("phase", name));
}

function rowName({ attempt }) {
  if (!attempt) return t("time.unsent");
  return [t("attempt", { n: attempt.n }), attempt.fallback ? t("attempt.fallback", { name: clean(attempt.fallback) }) : "", attempt.status ?? ""]
    .filter(Boolean).join(" · ");
}

function clipped(text) {
  return text.length > LABEL_CHARS ? `${text.slice(0, LABEL_CHARS - 1)}…` : text;
}

function barText(row, one) {
  const text = t("time.bar", { row: rowName(row), name: stretchName(one.name), time: duration(one.end - one.start), start: duration(one.start), end: duration(one.end) });
  return one.ok ? text : `${text} · ${t("attempt.failed_here")}`;
}

function inWords(line, events) {
  const bars = line.rows.flatMap((row) => row.bars.map((one) => ({ row, one })));
  const longest = bars.reduce((most, next) => (most && length(most) >= length(next) ? most : next), null);
  const broken = bars.filter(({ one }) => !one.ok);
  return [
    t("time.chart", { time: duration(line.span), tries: attemptsTitle(line.rows.filter((row) => row.attempt).length) }),
    longest ? t("time.longest", { bar: barText(longest.row, longest.one) }) : "",
    ...broken.filter((other) => other.one !== longest.one).map(({ row, one }) => `${barText(row, one)}.`),
    events ? eventsText(events) : "",
  ].filter(Boolean).join(" ");
}

function length({ one }) {
  return one.end - one.start;
}

function table(line) {
  const head = ["try", "stretch", "start", "length"].map((name) => el("th", { scope: "col" }, t(`column.${name}`)));
  const rows = line.rows.flatMap((row) => row.bars.map((one) => el("tr", {},
    el("td", {}, rowName(row)),
    el("td", {}, one.ok ? stretchName(one.name) : [stretchName(one.name), t("attempt.failed_here")].join(t("list.and"))),
    el("td", { class: "n" }, duration(one.start)), el("td", { class: "n" }, duration(one.end - one.start)))));
  return el("table", { class: "times" }, el("thead", {}, el("tr", {}, ...head)), el("tbody", {}, ...rows));
}
