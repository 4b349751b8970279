// The doctor: has the gateway look for what hinders calls, and shows what it found.

import { el, setText, show } from "./dom.js";
import { causeTitle, clean, clock, duration, number, problemText } from "./format.js";
import { replace } from "./keep.js";
import { beginDoctor, fetchDoctor } from "./live.js";
import { rich } from "./verdict.js";
import { counted, named, t } from "./words.js";

const POLL_MS = 400;
const GROUPS = ["environment", "configuration", "network", "provider", "account"];
const MARKS = { ok: "✓", note: "i", warn: "!", fail: "✕", skipped: "–" };

export class Doctor {
  constructor(dialog, copy) {
    this.dialog = dialog;
    this.copy = copy;
    this.body = dialog.querySelector(".report");
    this.button = dialog.querySelector(".run");
    this.progress = dialog.querySelector("[role=status]");
    this.watching = false;
    this.button.addEventListener("click", () => this.run());
    dialog.querySelector(".leave").addEventListener("click", () => dialog.close());
  }

  // What was found last is shown; without anything it looks at once.
  async open() {
    if (this.dialog.open) return;
    this.dialog.showModal();
    try {
      const told = await fetchDoctor();
      this.draw(told);
      if (told.running) this.watch();
      else if (!told.report) this.run();
    } catch (problem) { this.complain(problem); }
  }

  async run() {
    try {
      await beginDoctor();
      this.draw(await fetchDoctor());
      this.watch();
    } catch (problem) { this.complain(problem); }
  }

  async watch() {
    if (this.watching) return;
    this.watching = true;
    try {
      for (let told = { running: true }; told.running && this.dialog.open;) {
        await new Promise((later) => { setTimeout(later, POLL_MS); });
        told = await fetchDoctor();
        this.draw(told);
      }
    } catch (problem) { this.complain(problem); } finally { this.watching = false; }
  }

  complain(problem) {
    setText(this.progress, problemText(problem));
    this.button.disabled = false;
  }

  draw({ running, measured, probes, report }) {
    this.button.disabled = running;
    setText(this.button, t(report ? "doctor.again" : "doctor.run"));
    setText(this.progress, running ? t("doctor.running", { n: number(measured.length), of: number(probes) }) : report ? when(report) : "");
    this.dialog.toggleAttribute("data-running", running);
    show(this.body, Boolean(report));
    const shown = report ? `${report.began_at}` : "";
    if (!report || this.shown === shown) return;
    this.shown = shown;
    replace(this.body, this.report(report), false);
  }

  report(report) {
    const text = () => reportText(report);
    return [
      report.most_likely ? likely(report) : el("p", { class: "well" }, t("doctor.well", { host: clean(report.target) })),
      ...GROUPS.map((group) => section(group, report.checks.filter((one) => one.group === group))).filter(Boolean),
      el("p", { class: "copy" }, el("button", { type: "button", on: { click: (event) => this.copy(text(), event.target) } }, t("doctor.copy")),
        " ", el("span", { class: "note" }, t("doctor.command"), " ", el("code", { translate: "no" }, t("doctor.command.line")))),
    ];
  }
}

function when({ began_at, took_ms, target, way }) {
  const parts = { host: clean(target), time: clock(began_at * 1000), took: duration(took_ms) };
  return way === "straight" ? t("doctor.when", parts) : t("doctor.when.via", { ...parts, way: clean(way) });
}

function likely({ most_likely: one, scope }) {
  return el("section", { class: "likely" },
    el("h3", {}, clean(one.title)),
    el("p", { class: "happened" }, clean(one.what_happened)),
    el("p", { class: "tags" }, el("code", {}, one.cause), one.fault ? el("span", {}, clean(named("fault", one.fault))) : "", el("span", {}, clean(named("precision", one.precision)))),
    list("todo", one.what_to_do, "ol", (step) => rich(step)),
    list("saw", one.evidence, "ul", (fact) => [clean(fact)]),
    list("ruled_out", one.ruled_out, "ul", (other) => [`${causeTitle(other.cause)}: `, clean(other.why)]),
    scope.length ? list("doctor.scope", scope, "ul", (line) => [clean(line)]) : "");
}

function list(title, items, tag, draw) {
  return items?.length ? el("div", {}, el("h4", {}, t(title)), el(tag, {}, ...items.map((item) => el("li", {}, ...draw(item))))) : "";
}

function section(group, checks) {
  if (!checks.length) return null;
  const bad = checks.filter(({ status }) => status === "fail" || status === "warn").length;
  return el("section", { class: "group" }, el("h3", {}, t(`doctor.group.${group}`), bad ? el("small", {}, counted("doctor.found", bad, { n: number(bad) })) : ""),
    el("ul", {}, ...checks.map((one) => el("li", { class: one.status },
      el("span", { class: "sign", "aria-hidden": "true" }, MARKS[one.status]), el("span", { class: "sr" }, t(`doctor.status.${one.status}`)), " ",
      el("span", {}, el("b", { translate: "no" }, one.name), " ", clean(one.told),
        one.cause ? el("details", {}, el("summary", {}, causeTitle(one.cause)), list("saw", one.evidence, "ul", (fact) => [clean(fact)]), list("todo", one.what_to_do, "ol", (step) => rich(step))) : "")))));
}

function reportText(report) {
  const one = report.most_likely;
  const lines = [when(report), ""];
  if (one) lines.push(`${one.title} (${one.cause})`, one.what_happened, ...one.evidence.map((fact) => `- ${fact}`), ...one.what_to_do.map((step, at) => `${at + 1}. ${step}`), ...report.scope, "");
  for (const check of report.checks) lines.push(`[${check.status}] ${check.name}${check.about ? ` ${check.about}` : ""}: ${check.told}`);
  return lines.map(clean).join("\n");
}
