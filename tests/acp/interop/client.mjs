// A client of the official TypeScript SDK that follows a script and prints what it saw.
//
//   node client.mjs VERSION SCRIPT ws://...      VERSION: v1 or v2
//   node client.mjs VERSION SCRIPT COMMAND...
//
// SCRIPT is JSON: {permission: "allow" | "reject" | "hang", steps: [...]}; a step is one of
//   {method, params}          a request; "$session" is the id that the last session/new gave
//   {prompt, cancelAt, session}  a turn; cancelled at the first update of the kind `cancelAt`, if given
// On stdout: one JSON object with the results of the steps, all updates, and what was asked.
import { spawn } from "node:child_process";
import fs from "node:fs/promises";
import { Readable, Writable } from "node:stream";
import { createWebSocketStream } from "@agentclientprotocol/sdk/experimental/ws-client";

const [version, scriptText, target, ...args] = process.argv.slice(2);
const script = JSON.parse(scriptText);
const acp = await import(
  version === "v2" ? "@agentclientprotocol/sdk/experimental/v2" : "@agentclientprotocol/sdk"
);
const seen = { results: [], updates: [], asked: [] };
let session;
let child;
let ended;
let onUpdate = () => {};

function open() {
  if (/^wss?:/.test(target)) return createWebSocketStream(target);
  child = spawn(target, args, { stdio: ["pipe", "pipe", "inherit"] });
  ended = new Promise((resolve) => child.once("exit", resolve));
  return acp.ndJsonStream(Writable.toWeb(child.stdin), Readable.toWeb(child.stdout));
}

async function decide({ params }) {
  seen.asked.push(params);
  if (script.permission === "hang") await new Promise(() => {});
  const wanted = params.options.find((one) => one.kind.startsWith(script.permission ?? "allow"));
  return { outcome: { outcome: "selected", optionId: wanted.optionId } };
}

async function turn(agent, { prompt, cancelAt, session: named }) {
  session = named ?? session;
  const text = { type: "text", text: prompt };
  const first = seen.updates.length;
  let cancelled = false;
  let running = false;
  const idle = new Promise((resolve) => {
    onUpdate = (update) => {
      if (update.sessionUpdate === cancelAt && !cancelled) {
        cancelled = true;
        agent.notify("session/cancel", { sessionId: session });
      }
      if (update.sessionUpdate !== "state_update") return;
      if (update.state === "running") running = true;
      if (update.state === "idle" && running) resolve(update);
    };
  });
  const answer = await agent.request("session/prompt", { sessionId: session, prompt: [text] });
  const updates = seen.updates.length - first; // those that came before the answer
  return version === "v2" ? { answer, updates, idle: await idle } : { answer, updates };
}

const app = acp
  .client({ name: "punie-interop" })
  .onRequest("session/request_permission", decide)
  .onNotification("session/update", ({ params }) => {
    seen.updates.push(params.update);
    onUpdate(params.update);
  });
if (version === "v1") {
  app
    .onRequest("fs/read_text_file", async ({ params }) => {
      seen.asked.push(params);
      return { content: await fs.readFile(params.path, "utf8") };
    })
    .onRequest("fs/write_text_file", async ({ params }) => {
      seen.asked.push(params);
      await fs.writeFile(params.path, params.content);
      return {};
    });
}

await app.connectWith(open(), async (agent) => {
  for (const step of script.steps) {
    try {
      const filled = JSON.parse(JSON.stringify(step).replaceAll("$session", session));
      const result = step.prompt === undefined
        ? await agent.request(filled.method, filled.params)
        : await turn(agent, filled);
      if (step.method === "session/new") session = result.sessionId;
      seen.results.push(result);
    } catch (error) {
      seen.results.push({ error: { code: error.code, message: error.message } });
    }
  }
});
await new Promise((resolve) => process.stdout.write(`${JSON.stringify(seen)}\n`, resolve));
if (child !== undefined) {
  child.stdin.end();
  const code = await ended;
  if (code !== 0) throw new Error(`the agent ended with ${code}`);
}
process.exit(0);
