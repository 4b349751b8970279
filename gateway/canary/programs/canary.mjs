// Asks a URL once by each usual means of Node.js, Deno or Bun, and prints what came back. See canary.py.
import http from "node:http";
import https from "node:https";

const [token, url, base] = process.argv.slice(2);
const SECONDS = 10;
const HEADER = "x-whygate-canary";
const FLOW = "x-whygate-flow-id";

async function byFetch(place) {
  const answer = await fetch(place, {
    headers: { [HEADER]: token }, redirect: "manual", signal: AbortSignal.timeout(SECONDS * 1000),
  });
  return { status: answer.status, echo: answer.headers.get(HEADER) ?? "", flow: answer.headers.get(FLOW) ?? "" };
}

function byModule(place) {
  const library = place.startsWith("https:") ? https : http;
  return new Promise((resolve, reject) => {
    const request = library.get(place, { headers: { [HEADER]: token }, timeout: SECONDS * 1000 }, (answer) => {
      answer.resume();
      resolve({ status: answer.statusCode, echo: answer.headers[HEADER] ?? "", flow: answer.headers[FLOW] ?? "" });
    });
    request.on("timeout", () => request.destroy(new Error("timeout")));
    request.on("error", reject);
  });
}

function words(error) {
  return [error, error.cause].filter(Boolean).map((one) => `${one.code ?? one.name}: ${one.message}`).join("; ");
}

const runtime = globalThis.Deno ? `Deno ${Deno.version.deno}`
  : globalThis.Bun ? `Bun ${Bun.version}` : `Node.js ${process.versions.node}`;
const means = [];
const asked = [["node:https", byModule]];
if (globalThis.fetch) asked.unshift(["fetch", byFetch]);
for (const [name, ask] of asked) {
  for (const [way, place] of [["proxy", url], ...(base ? [["base_url", `${base}/models`]] : [])]) {
    try {
      means.push({ name, way, ...(await ask(place)) });
    } catch (error) {
      means.push({ name, way, error: words(error) });
    }
  }
}
console.log(JSON.stringify({ whygate_canary: runtime, means }));
process.exit(0);
