// Runs in a browser, bundled: stands for a web page of a user.
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import { Node_NodeState, NodeService } from "../../../src/gen/n0stack/pool/v0/node_pb.ts";

interface Page {
  readonly location: { readonly search: string; readonly hash: string };
  readonly document: { readonly body: { append(text: string): void } };
}

async function show({ location, document }: Page): Promise<void> {
  const baseUrl = new URLSearchParams(location.search).get("api") ?? "";
  const headers = { authorization: `Bearer ${location.hash.slice(1)}` };
  const client = createClient(NodeService, createConnectTransport({ baseUrl }));
  const { nodes } = await client.listNodes({}, { headers });
  for (const { name, state } of nodes) {
    document.body.append(`${name} ${state === Node_NodeState.READY ? "READY" : "not ready"}`);
  }
}

declare const window: Page;
await show(window);
