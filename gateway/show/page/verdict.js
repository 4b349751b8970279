// The verdict on one call: what happened, who can fix it, what to do, and why we say so. On the page and as plain text.

import { change, changeLines } from "./change.js";
import { el } from "./dom.js";
import { causeTitle, clean, clock, duration, problemText, subject, waitReason } from "./format.js";
import { fetchCause } from "./live.js";
import { Once } from "./once.js";
import { has, named, t } from "./words.js";

// What is plainly an address on the web, without a user name or letters that look like others, or stands in `marks`.
const SPECIAL = /https:\/\/(?![^\s/?#]*@)[A-Za-z0-9.-]+(?::\d{1,5})?(?:[/?#][\w.~/?#&=%+:-]*)?(?![\w@])|`[^`]{1,200}`/g;

// For the head of the drawer: in one sentence, who can fix it, how sure that is.
export function verdictHead(flow) {
  const said = flow.diagnosis;
  const hint = `precision.${flow.precision}.hint`;
  return [
    said ? el("p", { class: "happened" }, clean(said.what_happened)) : "",
    el("p", { class: "tags" },
      el("code", {}, clean(flow.cause)),
      flow.fault ? told(clean(named("fault", flow.fault)), t("fault")) : "",
      flow.precision ? told(clean(named("precision", flow.precision)), has(hint) ? t(hint) : t("precision")) : ""),
  ];
}

// A tag with its explanation, for the pointer and for those who listen.
function told(text, explanation) {
  return el("span", { title: explanation }, text, el("span", { class: "sr" }, ` (${explanation})`));
}

export function verdict(flow, actions) {
  const said = flow.diagnosis;
  if (!said) {
    const note = flow.state === "done" ? "" : waitReason(flow);
    return note ? [el("section", {}, el("p", { class: "happened" }, note))] : [];
  }
  return [
    el("section", { class: "verdict" },
      list(t("todo"), said.what_to_do, "ol", "todo", rich),
      note(waitText(said)),
      el("p", { class: "copy" }, el("button", { type: "button", "data-focus": "verdict",
        on: { click: (event) => actions.copy(verdictText(flow), event.target) } }, t("copy.verdict"))),
      list(t("saw"), said.evidence, "ul", "evidence", (item) => [clean(item)]),
      note(authorText(said)),
      list(t("also"), said.alternatives, "ul", "others", (slug) => causeItem(slug, "")),
      list(t("ruled_out"), said.ruled_out, "ul", "others", (one) => causeItem(one.cause ?? one, one.why))),
    change(flow, actions),
    about(flow.cause),
  ];
}

function note(text) {
  return text ? el("p", { class: "note" }, text) : "";
}

function list(title, items, tag, name, draw) {
  if (!items?.length) return "";
  return el("div", { class: name }, el("h3", {}, title), el(tag, {}, ...items.map((item) => el("li", {}, ...draw(item)))));
}

function causeItem(slug, why) {
  const title = causeTitle(slug);
  return [title === slug ? "" : el("span", {}, title), el("code", {}, clean(slug)), why ? el("small", {}, clean(why)) : ""];
}

function waitText(said) {
  // A time is stated with an empty account, too, where it helps nobody.
  if (!said.waiting_helps) return "";
  return Number.isFinite(said.wait_seconds) ? t("waiting.stated", { time: duration(said.wait_seconds * 1000) }) : t("waiting.helps");
}

const NAMED_AUTHORS = ["edge", "middlebox"];

function authorText(said) {
  const name = clean(said.vendor ?? "");
  if (name && NAMED_AUTHORS.includes(said.author)) return t(`by.${said.author}.named`, { name });
  const by = said.author && has(`by.${said.author}`) ? t(`by.${said.author}`) : "";
  return [by, name ? t("on_path", { name }) : ""].filter(Boolean).join(" ");
}

// Text in which addresses can be followed and `commands` stand out. Nothing else of it becomes more than text.
export function rich(said) {
  const text = String(said ?? "");
  const parts = [];
  let at = 0;
  for (const found of text.matchAll(SPECIAL)) {
    const special = found[0].replace(/[.,:;?!]+$/, "");
    parts.push(clean(text.slice(at, found.index)), special.startsWith("`") ? el("code", {}, clean(special.slice(1, -1))) : link(special));
    at = found.index + special.length;
  }
  return [...parts, clean(text.slice(at))];
}

function link(address) {
  return URL.canParse(address)
    ? el("a", { href: address, "data-focus": address, rel: "noopener noreferrer", target: "_blank" }, clean(address)) : clean(address);
}

// --- about the cause in general ------------------------------------------

const causes = new Once(fetchCause);

function about(slug) {
  const known = causes.get(slug);
  const content = el("div", { class: "about" }, ...(known ? explained(known) : [el("p", { class: "note" }, t("about.loading"))]));
  return el("details", { "data-name": "about", on: { toggle: (event) => { if (event.target.open) load(slug, content); } } },
    el("summary", { "data-focus": "about" }, t("about")), content);
}

async function load(slug, content) {
  if (causes.get(slug)) return;
  try {
    content.replaceChildren(...explained(await causes.load(slug)));
  } catch (problem) { content.replaceChildren(el("p", { class: "note" }, problemText(problem))); }
}

function explained(cause) {
  const part = (title, text) => [el("h3", {}, title), el("p", {}, ...rich(text))];
  return [
    ...part(t("about.meaning"), cause.what_it_means),
    ...part(t("about.known_by"), cause.how_we_know),
    el("h3", {}, t("about.todo")),
    el("ol", {}, ...cause.what_to_do.map((step) => el("li", {}, ...rich(step)))),
    ...part(t("about.confused"), cause.not_to_be_confused_with),
    el("h3", {}, t("about.source")), el("p", { class: "note" }, clean(cause.source)),
  ];
}

// --- as plain text -------------------------------------------------------

export function verdictText(flow) {
  const said = flow.diagnosis;
  const lines = (title, items) => (items?.length ? ["", title, ...items] : []);
  return [
    `${clean(said.title)} (${flow.cause})`,
    said.what_happened,
    [flow.fault ? named("fault", flow.fault) : "", flow.precision ? named("precision", flow.precision) : ""].filter(Boolean).join(" · "),
    ...lines(t("todo"), said.what_to_do?.map((step, at) => `${at + 1}. ${step}`)),
    ...[waitText(said)].filter(Boolean),
    ...lines(t("saw"), said.evidence?.map((fact) => `- ${fact}`)),
    ...[authorText(said)].filter(Boolean).map((text) => `- ${text}`),
    ...lines(t("change"), changeLines(flow)),
    "",
    `whygate · ${subject(flow)} · ${clock(flow.started_at)} · ${flow.id}`,
  ].map(clean).join("\n");
}
