// What has changed since a failed call last worked: asked for once a call, shown below its verdict, and copied with it.

import { el } from "./dom.js";
import { clean, count, duration, size } from "./format.js";
import { fetchBefore } from "./live.js";
import { Once } from "./once.js";
import { counted, has, t } from "./words.js";

const CHANGES_SHOWN = 8;
const VALUE_CHARS = 120;
const HEADER = /^(request|response)_headers\.(.+)$/;

const known = new Once(fetchBefore);

export function change(flow, actions) {
  if (!flow.cause || flow.state !== "done") return "";
  const section = el("section", { class: "change", hidden: true });
  const draw = () => {
    const found = known.get(flow.id);
    if (!found) return;
    section.replaceChildren(...drawn(flow, found, actions));
    section.hidden = false;
  };
  draw();
  if (section.hidden) known.load(flow.id).then(draw, () => { /* The verdict stands without it. */ });
  return section;
}

// The same as lines of text; none before it is known.
export function changeLines(flow) {
  const found = known.get(flow.id);
  if (!found) return [];
  const { changes } = found;
  return [lastWorked(flow, found), ...changes.slice(0, CHANGES_SHOWN).map((one) => `- ${label(one.field)}: ${difference(one)}`),
    ...more(changes).map((text) => `- ${text}`)];
}

function drawn(flow, found, actions) {
  const { last_good: good, changes } = found;
  const name = (field) => (HEADER.test(field) ? el("code", {}, clean(label(field))) : label(field));
  return [
    el("h3", {}, t("change")),
    el("p", {}, lastWorked(flow, found)),
    changes.length ? el("dl", {}, ...changes.slice(0, CHANGES_SHOWN).flatMap((one) => [el("dt", {}, name(one.field)), el("dd", {}, difference(one))])) : "",
    ...more(changes).map((text) => el("p", { class: "note" }, text)),
    good ? el("p", { class: "copy" }, el("button", { type: "button", "data-focus": "last-good", on: { click: () => actions.open(good.id) } }, t("change.show"))) : "",
  ].filter(Boolean);
}

function lastWorked(flow, { last_good: good, changes }) {
  if (!good) return t("change.never");
  const apart = Math.max(0, new Date(flow.started_at) - new Date(good.started_at));
  return [t("change.worked", { time: duration(apart) }), t(changes.length ? "change.since" : "change.nothing")].join(" ");
}

function more(changes) {
  const left = changes.length - CHANGES_SHOWN;
  return left > 0 ? [counted("change.more", left, { n: left })] : [];
}

function label(field) {
  const header = HEADER.exec(field);
  if (header) return t(header[1] === "request" ? "change.header.request" : "change.header.response", { name: clean(header[2]) });
  return has(`changed.${field}`) ? t(`changed.${field}`) : clean(field);
}

function difference({ field, before, now }) {
  const [old, young] = [before, now].map((value) => shown(field, value));
  if (before === null) return t("change.new", { now: young });
  return now === null ? t("change.gone", { before: old }) : t("change.both", { before: old, now: young });
}

function shown(field, value) {
  if (value === null) return "";
  if (typeof value === "boolean") return t(value ? "change.yes" : "change.no");
  if (field === "request_bytes") return size(value);
  if (field === "tokens_in") return count(value);
  if (field === "key" && value === "none") return t("fact.key.none");
  const text = clean(value);
  return text.length > VALUE_CHARS ? `${text.slice(0, VALUE_CHARS - 1)}…` : text;
}
