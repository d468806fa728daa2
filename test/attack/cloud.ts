import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { until } from "../../src/util/until.ts";
import { PROJECT } from "../e2e/program.ts";
import { openClients } from "./clients.ts";
import { NODE_NAME } from "./example-parts.ts";
import { startTarget, type Target, type TargetName } from "./target.ts";

const NODE_READY_TIMEOUT_MS = 30_000;
const IMAGE_SIZE_MAX = "256MiB";
/** Nothing listens there: the agent that is attacked alone belongs to no API. */
const NOWHERE = "http://127.0.0.1:9";

export interface Cloud extends AsyncDisposable {
  readonly targets: Readonly<Record<TargetName, Target>>;
  readonly folder: string;
}

/**
 * Starts the servers under attack: an API, its node, and an agent without an API. Each is a process of its own
 * on loopback, in a folder that is removed with them.
 */
export async function startCloud(onLine: (name: TargetName, line: string) => void): Promise<Cloud> {
  await using opened = new AsyncDisposableStack();
  const folder = mkdtempSync(join(tmpdir(), "n0a-"));
  opened.defer(() => rmSync(folder, { recursive: true, force: true }));
  const [token, tokenFile] = newToken(folder, "token");
  const [agentToken, agentTokenFile] = newToken(folder, "agent-token");
  const start = async (name: TargetName, command: string, args: readonly string[]) => {
    // Only the API and its node know the token between them.
    const options = { name, folder, token: name === "api" ? token : agentToken, command, args };
    const target = await startTarget({ ...options, onLine: (line) => onLine(name, line) });
    opened.defer(async () => void (await target.stop()));
    return target;
  };
  const base = (name: string) => join(folder, name);
  const api = await start("api", join(PROJECT, "bin/n0core"), [
    ...["serve", "api", "--bind-port", "0", "--base-directory", base("api")],
    ...["--token-file", tokenFile],
  ]);
  const startNode = async (name: "node" | "agent", flags: Readonly<Record<string, string>>) => {
    const all = {
      ...{ bindPort: "0", baseDirectory: base(name), imageSizeMax: IMAGE_SIZE_MAX },
      ...{ allowLocalSources: "true", ...flags },
    };
    const child = fileURLToPath(new URL("node-child.ts", import.meta.url));
    return await start(name, process.execPath, [child, JSON.stringify(all)]);
  };
  const node = await startNode("node", { name: NODE_NAME, nodeApiEndpoint: api.url, tokenFile });
  const agent = await startNode("agent", {
    ...{ name: "alone", nodeApiEndpoint: NOWHERE, tokenFile, agentTokenFile },
  });
  await untilNodeReady(api);
  const parts = opened.move();
  return {
    targets: { api, node, agent },
    folder,
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  };
}

async function untilNodeReady(api: Target): Promise<void> {
  using clients = openClients(api);
  await until(
    async () => {
      const { nodes } = await clients.nodes.listNodes({});
      return nodes.some(({ name, state }) => name === NODE_NAME && state === 1);
    },
    { what: "the node is READY", timeoutMs: NODE_READY_TIMEOUT_MS },
  );
}

function newToken(folder: string, name: string): readonly [token: string, file: string] {
  const token = randomBytes(24).toString("base64url");
  const file = join(folder, name);
  writeFileSync(file, token, { mode: 0o600 });
  return [token, file];
}
