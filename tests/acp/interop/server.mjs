// An agent of the official TypeScript SDK behind its WebSocket server; prints the port it listens on.
// A prompt "ask" asks for permission, "hang" waits for a cancel; anything else is sent back.
import http from "node:http";
import * as acp from "@agentclientprotocol/sdk";
import {
  createNodeHttpHandler,
  createNodeWebSocketUpgradeHandler,
} from "@agentclientprotocol/sdk/experimental/node";
import { AcpServer } from "@agentclientprotocol/sdk/experimental/server";
import { WebSocketServer } from "ws";

function createAgent() {
  const cancelled = new Map();
  return acp
    .agent({ name: "punie-interop-agent" })
    .onRequest("initialize", () => ({
      protocolVersion: 1,
      agentCapabilities: {},
      agentInfo: { name: "typescript", version: "1" },
    }))
    .onRequest("session/new", () => ({ sessionId: "s" }))
    .onRequest("session/prompt", async ({ params, client }) => {
      const { text } = params.prompt[0];
      const sessionId = params.sessionId;
      const say = (said) =>
        client.notify("session/update", {
          sessionId,
          update: {
            sessionUpdate: "agent_message_chunk",
            content: { type: "text", text: said },
          },
        });
      if (text === "ask") {
        const answer = await client.request("session/request_permission", {
          sessionId,
          toolCall: { toolCallId: "t", title: "Edit" },
          options: [{ optionId: "yes", name: "Yes", kind: "allow_once" }],
        });
        await say(answer.outcome.optionId);
      } else if (text === "hang") {
        const stop = new Promise((resolve) => cancelled.set(sessionId, resolve));
        await say("waiting");
        await stop;
        return { stopReason: "cancelled" };
      } else {
        await say(text);
      }
      return { stopReason: "end_turn" };
    })
    .onNotification("session/cancel", ({ params }) => cancelled.get(params.sessionId)?.());
}

const acpServer = new AcpServer({ createAgent });
const server = http.createServer(createNodeHttpHandler(acpServer));
const sockets = new WebSocketServer({ noServer: true });
server.on("upgrade", createNodeWebSocketUpgradeHandler(acpServer, sockets));
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
process.stdin.on("end", () => process.exit(0)).resume();
