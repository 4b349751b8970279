// An app that knows nothing of the gateway: one function for each JavaScript client, as its users write it.
//
// Reads one line of tab-separated fields for each call and writes one JSON line for each. What a proxy, a certificate
// or a base URL is, the libraries learn from the environment. Runs under Node.js, Bun and Deno.
import { createInterface } from "node:readline";
import { Buffer } from "node:buffer";
import process from "node:process";

const FIELDS = [
  "id", "client", "variable", "base", "path", "headers", "body", "key", "model", "prompt", "stream", "protocol",
];
const KNOWN = ["OPENAI_BASE_URL", "ANTHROPIC_BASE_URL"];

function parsed(line) {
  const job = Object.fromEntries(line.split("\t").map((value, index) => [FIELDS[index], value]));
  const base = process.env[job.variable] ?? job.base;
  return {
    ...job,
    url: base + job.path,
    fields: Object.fromEntries(job.headers.split("|").map((field) => field.split(": "))),
    streamed: job.stream === "1",
    messages: [{ role: "user", content: job.prompt }],
    // What a user adds for a provider that the SDK does not know by itself.
    named: KNOWN.includes(job.variable) ? {} : { baseURL: base },
  };
}

async function whole(parts) {
  const found = [];
  for await (const part of parts) found.push(Buffer.from(part));
  return Buffer.concat(found).toString("hex");
}

async function fetched(job, more = {}, get = fetch) {
  const answer = await get(job.url, { method: "POST", headers: job.fields, body: job.body, ...more });
  if (job.streamed) return { status: answer.status, body: await whole(answer.body) };
  return { status: answer.status, body: Buffer.from(await answer.text()).toString("hex") };
}

async function withUndici(job) {
  const { EnvHttpProxyAgent, fetch: get } = await import("undici");
  return fetched(job, { dispatcher: new EnvHttpProxyAgent() }, get);
}

async function withAgent(job) {
  const [{ HttpsProxyAgent }, https, http] = await Promise.all([
    import("https-proxy-agent"), import("node:https"), import("node:http"),
  ]);
  const secure = job.url.startsWith("https:");
  const agent = secure && process.env.HTTPS_PROXY ? new HttpsProxyAgent(process.env.HTTPS_PROXY) : undefined;
  return new Promise((resolve, reject) => {
    const asked = (secure ? https : http).request(job.url, { method: "POST", headers: job.fields, agent }, (answer) => {
      whole(answer).then((body) => resolve({ status: answer.statusCode, body }), reject);
    });
    asked.on("error", reject);
    asked.end(job.body);
  });
}

async function withAxios(job) {
  const { default: axios } = await import("axios");
  const kind = job.streamed ? "stream" : "arraybuffer";
  const answer = await axios.post(job.url, job.body, { headers: job.fields, responseType: kind });
  const body = job.streamed ? await whole(answer.data) : Buffer.from(answer.data).toString("hex");
  return { status: answer.status, body };
}

async function withOpenAI(job) {
  const { default: OpenAI } = await import("openai");
  return chatted(new OpenAI({ apiKey: job.key, maxRetries: 0, ...job.named }), job);
}

async function withAzure(job) {
  const { AzureOpenAI } = await import("openai");
  // An endpoint beside OPENAI_BASE_URL, which `whygate run` sets, is refused by the SDK; a base URL is not.
  const base = job.named.baseURL;
  const place = job.variable in process.env ? { baseURL: `${base}/openai` } : { endpoint: base };
  return chatted(new AzureOpenAI({ ...place, apiKey: job.key, apiVersion: "2024-10-21" }), job);
}

async function chatted(client, job) {
  const asked = { model: job.model, messages: job.messages };
  if (!job.streamed) return { text: (await client.chat.completions.create(asked)).choices[0].message.content };
  let text = "";
  for await (const part of await client.chat.completions.create({ ...asked, stream: true })) {
    text += part.choices[0]?.delta.content ?? "";
  }
  return { text };
}

async function withAnthropic(job) {
  const { default: Anthropic } = await import("@anthropic-ai/sdk");
  const client = new Anthropic({ apiKey: job.key, maxRetries: 0, ...job.named });
  const asked = { model: job.model, max_tokens: 100, messages: job.messages };
  if (!job.streamed) return { text: (await client.messages.create(asked)).content[0].text };
  return { text: await client.messages.stream(asked).finalText() };
}

async function withGoogle(job) {
  const { GoogleGenAI } = await import("@google/genai");
  const { models } = new GoogleGenAI({ apiKey: job.key });
  const asked = { model: job.model, contents: job.prompt };
  if (!job.streamed) return { text: (await models.generateContent(asked)).text };
  let text = "";
  for await (const part of await models.generateContentStream(asked)) text += part.text ?? "";
  return { text };
}

// The package whose version counts (the runtime's own when there is none), and the call.
const CLIENTS = {
  fetch: ["", fetched],
  undici: ["undici", withUndici],
  "https-proxy-agent": ["", withAgent],
  axios: ["axios", withAxios],
  openai: ["openai", withOpenAI],
  anthropic: ["@anthropic-ai/sdk", withAnthropic],
  azure: ["openai", withAzure],
  "google-genai": ["@google/genai", withGoogle],
};

async function versionOf(name) {
  if (!name) return process.versions.bun ?? process.versions.deno ?? process.versions.node;
  const { readFileSync } = await import("node:fs");
  return JSON.parse(readFileSync(new URL(`node_modules/${name}/package.json`, import.meta.url), "utf8")).version;
}

function reason(error) {
  const causes = [];
  for (let at = error; at; at = at.cause) causes.push(String(at));
  return Buffer.from(causes.join(" <- ")).toString("hex");
}

for await (const line of createInterface({ input: process.stdin })) {
  const job = parsed(line);
  const [name, call] = CLIENTS[job.client];
  const found = await call(job).catch((error) => ({ error: reason(error) }));
  console.log(JSON.stringify({ id: job.id, version: await versionOf(name), ...found }));
}
process.exit(0);
