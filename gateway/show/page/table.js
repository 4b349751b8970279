// The table: as many rows in the document as fit the window, however many calls there are.
//
// Each row has one of two heights, which the style sheet gives, so the place of every call is known without drawing it.
// Rows that the reader looks at stay where they are when others come in above them.

import { Rows } from "./rows.js";

const BEYOND_PX = 400;

export class Table {
  constructor(table, { open, nearEnd }) {
    this.table = table;
    this.nearEnd = nearEnd;
    this.rows = new Rows(open);
    this.calls = null;
    this.tops = new Float64Array(1);
    this.counted = -1;
    this.first = null;
    this.selected = null;
    this.measure();
    addEventListener("scroll", () => this.soon(), { passive: true });
    addEventListener("resize", () => { this.measure(); this.draw(); });
  }

  // The heights that the style sheet gives at this width.
  measure() {
    const style = getComputedStyle(this.table);
    this.plain = parseFloat(style.getPropertyValue("--row"));
    this.tall = parseFloat(style.getPropertyValue("--row-failed"));
    this.counted = -1;
  }

  soon() {
    this.pending ??= requestAnimationFrame(() => { this.pending = null; this.draw(); });
  }

  show(calls) {
    this.calls = calls;
    this.draw();
  }

  draw() {
    if (!this.calls) return;
    const head = this.table.tHead.offsetHeight;
    const above = this.table.getBoundingClientRect().top + head;
    const anchor = above < 0 && this.first !== null ? { ...this.first } : null;
    this.count();
    if (anchor) {
      const place = this.calls.place(anchor.id);
      const moved = place < 0 ? 0 : this.tops[place] - anchor.top;
      if (moved) scrollBy({ top: moved, behavior: "instant" });
    }
    this.fill(head);
  }

  // Where each call stands: only when something has changed.
  count() {
    if (this.counted === this.calls.changes) return;
    this.counted = this.calls.changes;
    const many = this.calls.size;
    if (this.tops.length < many + 1) this.tops = new Float64Array(Math.ceil((many + 1) * 1.5));
    let top = 0;
    for (let place = 0; place < many; place++) {
      this.tops[place] = top;
      top += this.calls.at(place).diagnosis ? this.tall : this.plain;
    }
    this.tops[many] = top;
    this.table.setAttribute("aria-rowcount", String(many + 1));
    this.table.style.height = `${top + this.table.tHead.offsetHeight}px`;
  }

  fill(head) {
    const many = this.calls.size;
    const start = -this.table.getBoundingClientRect().top;
    const from = Math.max(0, this.at(start - BEYOND_PX));
    const to = Math.min(many, this.at(start + innerHeight + BEYOND_PX) + 1);
    const visible = this.at(Math.max(0, start));
    this.first = visible < many ? { id: this.calls.at(visible).id, top: this.tops[visible] } : null;
    const focused = this.table.contains(document.activeElement) ? document.activeElement.closest("tbody")?.dataset.id : null;
    const places = [];
    for (let place = from; place < to; place++) places.push(place);
    this.rows.draw(this.table, places.map((place) => ({
      call: this.calls.at(place), place, top: this.tops[place] + head, height: this.tops[place + 1] - this.tops[place],
    })), this.selected);
    // What had the focus has left the window: the keys shall go on from there.
    if (focused && !this.rows.has(focused)) this.table.focus({ preventScroll: true });
    if (many && to >= many - 20) this.nearEnd();
  }

  // The place of the call at a height.
  at(y) {
    let low = 0, high = Math.max(0, this.calls.size - 1);
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.tops[middle] <= y) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  select(id, scroll = true) {
    this.selected = id;
    const place = this.calls?.place(id) ?? -1;
    if (scroll && place >= 0) {
      const head = this.table.tHead.offsetHeight;
      const box = this.table.getBoundingClientRect().top;
      const top = box + head + this.tops[place], bottom = box + head + this.tops[place + 1];
      if (top < head) scrollBy({ top: top - head, behavior: "instant" });
      else if (bottom > innerHeight) scrollBy({ top: bottom - innerHeight + 8, behavior: "instant" });
    }
    this.draw();
    if (scroll) this.rows.focus(id);
  }

  step(by) {
    const many = this.calls?.size ?? 0;
    if (!many) return;
    const place = this.selected === null ? -1 : this.calls.place(this.selected);
    this.select(this.calls.at(place < 0 ? 0 : Math.min(many - 1, Math.max(0, place + by))).id);
  }

  tick(deadlines) { this.rows.tick(deadlines); }
}
