// When each part of a call was, in milliseconds from its arrival. Pure; knows nothing of the document.

const SHOWN_FROM_MS = 1; // What is shorter than this is not worth a bar of its own.
const MINUTE_MS = 60000;
const STEPS_MS = [...[1, 10, 100, 1000, 10000].flatMap((unit) => [unit, 2 * unit, 5 * unit]).slice(0, -1),
  ...[0.5, 1, 2, 5, 10, 30, 60, 120, 360, 720, 1440].map((minutes) => minutes * MINUTE_MS)];
const INTERVALS_MAX = 5;

// One row for each attempt, or a single one for a call that was never sent. A bar is {name, start, end, ok}.
// `until` is the end of what else is drawn on the same axis.
export function timeline(flow, until = 0) {
  // A retry's time in the queue is part of its wait; older rows have the whole call's alone.
  const queued = amount(flow.attempts[0]?.queued_ms ?? flow.queue_ms);
  let at = queued;
  const rows = flow.attempts.map((attempt, index) => {
    const bars = index === 0 && queued >= SHOWN_FROM_MS ? [bar("queue", 0, queued)] : [];
    const waited = amount(attempt.waited_ms);
    if (waited >= SHOWN_FROM_MS) bars.push(bar("wait", at, at + waited));
    const from = at + waited;
    for (const phase of attempt.phases) bars.push(bar(phase.name, from + amount(phase.start_ms), from + amount(phase.end_ms), phase.ok));
    at = Math.max(from, ...bars.map((one) => one.end));
    return { attempt, length: at - from, bars };
  });
  if (!rows.length && queued >= SHOWN_FROM_MS) rows.push({ attempt: null, length: queued, bars: [bar("queue", 0, queued)] });
  const first = Number.isFinite(flow.ttft_ms) ? flow.ttft_ms : null;
  return { rows, first, span: Math.max(at, amount(flow.total_ms), amount(first), until, 1) };
}

// Where the axis is marked: at even steps, few enough for a telephone.
export function ticks(span) {
  const step = STEPS_MS.find((one) => span / one <= INTERVALS_MAX) ?? Math.ceil(span / INTERVALS_MAX / STEPS_MS.at(-1)) * STEPS_MS.at(-1);
  return Array.from({ length: Math.floor(span / step) + 1 }, (_, at) => at * step);
}

function bar(name, start, end, ok = true) {
  return { name, start, end: Math.max(start, end), ok };
}

function amount(value) {
  return Number.isFinite(value) && value > 0 ? value : 0;
}
