// The events of a stream in time: how many came when, and where it was silent the longest.

import { svg } from "./dom.js";
import { duration, number, size } from "./format.js";
import { counted, t } from "./words.js";

const BUCKETS_MAX = 64;
export const STRIP_PX = 26;

// Rows of earlier releases have none; what is not as it has to be counts as none.
export function strip(flow) {
  const { counts, began_ms: began, bucket_ms: bucket, gap_ms: gap, gap_at_ms: gapAt, count, bytes } = flow.events ?? {};
  if (!Array.isArray(counts) || !(bucket > 0) || !Number.isFinite(began) || began < 0 || !(count > 0)) return null;
  const buckets = counts.slice(0, BUCKETS_MAX)
    .map((many, at) => ({ many, start: began + at * bucket, end: began + (at + 1) * bucket })).filter(({ many }) => many > 0);
  const silence = gap > 0 && Number.isFinite(gapAt) && gapAt >= 0 ? { start: gapAt, end: gapAt + gap } : null;
  return { count, bytes, buckets, silence, end: Math.max(began, silence?.end ?? 0, ...buckets.map((one) => one.start)) };
}

export function eventsText(told) {
  const { count, bytes, silence } = told;
  return [
    counted("events.many", count, { n: number(count) }),
    bytes > 0 ? size(bytes) : "",
    silence ? silenceText(told) : "",
  ].filter(Boolean).join(t("list.and"));
}

// Bars from the bottom of the strip up, the fullest bucket as high as the strip; `x` turns a time into a place.
export function drawStrip(told, y, x, reach) {
  const most = Math.max(...told.buckets.map(({ many }) => many), 1);
  const bars = told.buckets.map(({ many, start, end }) => {
    const height = Math.max(2, (many / most) * STRIP_PX);
    const title = counted("events.between", many, { n: number(many), start: duration(start), end: duration(end) });
    return svg("rect", { class: "event", x: x(start), width: reach(start, end), y: y + STRIP_PX - height, height }, svg("title", {}, title));
  });
  const quiet = told.silence && svg("rect", { class: "silence", x: x(told.silence.start), width: reach(told.silence.start, told.silence.end),
    y, height: STRIP_PX }, svg("title", {}, silenceText(told)));
  return [quiet, ...bars].filter(Boolean);
}

function silenceText({ silence }) {
  return t("events.gap", { time: duration(silence.end - silence.start), at: duration(silence.start) });
}
