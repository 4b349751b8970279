// Turns values into words. Pure; knows nothing of the document.

export const FAULTS = {
  caller: "To be fixed in your app", policy: "To be fixed in the account", network: "To be fixed in your network",
  edge: "The provider's edge decides", provider: "Only the provider can fix it", proxy: "This gateway's own doing",
};
export const PRECISIONS = {
  declared: "The provider said so", inferred: "Concluded from what we saw", confirmed: "Confirmed by a check",
};
const STATES = { queued: "in our queue", waiting: "waiting", connecting: "connecting", streaming: "answering" };

// Captured text must not be able to reorder or hide what stands around it.
const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;

export function clean(text) {
  return String(text ?? "").replace(HIDDEN, (c) => "\\u" + c.charCodeAt(0).toString(16).padStart(4, "0"));
}

export function duration(ms) {
  if (ms === null || ms === undefined) return "";
  if (ms < 1) return ms === 0 ? "0" : "<1 ms";
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 10000) return `${(ms / 1000).toFixed(1)} s`;
  if (ms < 90000) return `${Math.round(ms / 1000)} s`;
  const minutes = Math.floor(ms / 60000);
  if (minutes < 90) return `${minutes} min ${Math.round((ms % 60000) / 1000)} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

export function count(number) {
  if (number === null || number === undefined) return "–";
  if (number < 10000) return String(number);
  return number < 1e6 ? `${(number / 1000).toFixed(number < 1e5 ? 1 : 0)}k` : `${(number / 1e6).toFixed(1)}M`;
}

export function clock(iso) {
  const moment = new Date(iso);
  if (Number.isNaN(moment.getTime())) return clean(iso);
  const time = moment.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
  const today = new Date().toDateString() === moment.toDateString();
  return today ? time : `${moment.toLocaleDateString([], { month: "short", day: "numeric" })} ${time}`;
}

export function causeTitle(slug) {
  if (!slug) return "";
  const words = clean(slug).replace(/^[a-z_]+\./, "").replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

export function outcome(flow) {
  if (flow.cause) return clean(flow.diagnosis?.title || causeTitle(flow.cause));
  if (flow.state !== "done") return STATES[flow.state] ?? clean(flow.state);
  if (flow.kind !== "api") return flow.kind === "tunnel" ? "Tunnel closed" : "WebSocket closed";
  const tries = flow.attempts.length;
  return tries > 1 ? `Succeeded on try ${tries}` : "Succeeded";
}

// Why it failed and the first thing to do, in one breath.
export function sentence(flow) {
  const said = flow.diagnosis;
  return said ? { why: clean(said.what_happened), what: clean(said.what_to_do?.[0] ?? "") } : null;
}

export function wait(flow, left_ms) {
  const reason = clean(flow.wait_reason ?? "");
  if (left_ms === null) return reason;
  const eta = left_ms > 500 ? `about ${left_ms < 90000 ? `${Math.ceil(left_ms / 1000)} s` : duration(left_ms)} left` : "any moment now";
  return reason ? `${reason}, ${eta}` : eta;
}

export function tone(flow) {
  if (flow.state !== "done") return "running";
  if (!flow.cause) return "ok";
  return /^(rate_limit|client)\./.test(flow.cause) || flow.cause === "proxy.queue_timeout" ? "warn" : "bad";
}

export function subject(flow) {
  if (flow.model) return clean(flow.model);
  return clean(flow.kind === "api" ? flow.path || flow.host : flow.host);
}

// The app as it names itself: the product part of its user agent.
export function agent(flow) {
  const told = flow.request_headers?.find(([name]) => name === "user-agent")?.[1] ?? "";
  return clean(told.split(/[\s(]/)[0]).slice(0, 40);
}

export function subjectDetail(flow) {
  const parts = [flow.provider || flow.host, flow.kind === "api" ? flow.endpoint : flow.kind];
  if (flow.stream) parts.push("stream");
  if (flow.tenant && flow.tenant !== "default") parts.push(flow.tenant);
  parts.push(agent(flow) || flow.client);
  return clean(parts.filter(Boolean).join(" · "));
}
