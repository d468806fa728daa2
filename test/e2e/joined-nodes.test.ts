import { readdir } from "node:fs/promises";
import { createServer, type ServerResponse } from "node:http";
import { join } from "node:path";
import { createClient, type Transport } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { claimLab, releaseLab } from "../../scripts/lab/claim.ts";
import { hostOf, type Lab, operatorOf } from "../../scripts/lab/lab.ts";
import { ensureLink, ensureSwitch, removeNetwork } from "../../scripts/lab/network.ts";
import { VolumeAgentService } from "../../src/gen/n0stack/agent/v1alpha1/volume_pb.ts";
import { NodeService } from "../../src/gen/n0stack/pool/v0/node_pb.ts";
import type { Identity } from "../../src/rpc/certificate/identity.ts";
import { openTransport } from "../../src/rpc/transport.ts";
import { readIdentity, timesOf } from "../../src/serve/identity/node-identity.ts";
import { pause, systemClock } from "../../src/util/clock.ts";
import { until } from "../../src/util/until.ts";
import { requirement } from "../node/requirements.ts";
import { refused } from "../refused.ts";
import { newPlace, type Place } from "./place.ts";
import { type Cli, newCli, nodeFlags, type Server, startServer, untilReady } from "./server.ts";

const isPossible = requirement("root") && requirement("libvirt") && requirement("netns");
const NODE_OF_DISK = "n0core/provisioning/block_storage/request_node_name";
/** A third of it is left when a renewal begins, which may take seconds on a busy machine. */
const LIFETIME_MS = 20_000;
/** How long a request goes on after the end of a certificate. */
const LONGER_MS = 3_000;

describe.runIf(isPossible)("two hosts join by the printed command", () => {
  const opened = new AsyncDisposableStack();
  let lab: Lab;
  let own: string;
  let places: readonly [Place, Place, Place];
  let api: Server;
  let agents: Server[];
  let cli: Cli;

  beforeAll(async () => {
    places = [
      opened.use(await newPlace()),
      opened.use(await newPlace()),
      opened.use(await newPlace()),
    ];
    lab = await newUnderlay(places[0].baseDirectory, opened);
    own = operatorOf(lab).address;
    const flags = [
      ...["--base-directory", places[0].baseDirectory, "--bind-address", own],
      ...["--certificate-lifetime", `${LIFETIME_MS / 1000}s`],
    ];
    api = await startServer(places[0], { role: "api", flags });
    opened.defer(async () => void (await api.stop()));
    const ca = join(places[0].baseDirectory, "authority", "certificate.pem");
    cli = newCli(api, places[0], ["--tls-ca", ca]);
    agents = [await joinHost(1), await joinHost(2)];
    opened.defer(async () => void (await Promise.all(agents.map((agent) => agent.stop()))));
    await untilReady(cli, 2);
  });
  afterAll(() => opened.disposeAsync());

  /** The flags of the printed command, and those that tell two hosts on one computer apart. */
  async function joinHost(index: 1 | 2): Promise<Server> {
    const printed = (await cli.must("-o", "table", "node", "join-token")).trim().split(" ");
    expect(printed.slice(0, 3)).toEqual(["n0core", "serve", "agent"]);
    return await startAgent(index, printed.slice(3));
  }

  async function startAgent(index: 1 | 2, flags: readonly string[]): Promise<Server> {
    return await startServer(places[index], {
      role: "agent",
      namespace: hostOf(lab, `node-${index}`).namespace,
      flags: [...flags, "--name", `node-${index}`, ...nodeFlags(places[index])],
    });
  }

  const heartbeat = (index: 1 | 2, from: 1 | 2) =>
    heartbeatAs(places[from], api.url, `node-${index}`);

  test("each listens on its own address, and a disk moves from one to the other", async () => {
    for (const index of [1, 2]) {
      const { address } = await cli.json("get", "node", `node-${index}`);
      const host = hostOf(lab, `node-${index}`).address.replaceAll(".", "\\.");
      expect(address).toMatch(new RegExp(`^https://${host}:\\d+$`));
    }
    const size = ["--request_bytes", "1MiB", "--limit_bytes", "1MiB"];
    const at = (node: string) => ["--annotations", `${NODE_OF_DISK}=${node}`];
    await cli.must("bs", "create", "data", ...size, ...at("node-1"));
    await cli.must("bs", "update", "data", ...at("node-2"));
    expect((await cli.json("get", "bs", "data"))["node_name"]).toBe("node-2");
  });

  test("a certificate that ends during a running request is renewed, and the request succeeds", async () => {
    const { toMs } = timesOf(readIdentity(places[1].baseDirectory)!);
    const source = await newSlowSource(own, toMs - Date.now() + LONGER_MS);
    opened.defer(source.close);
    await cli.must(
      ...["bs", "fetch", "slow", "--source_url", source.url],
      ...["--request_bytes", "1MiB", "--limit_bytes", "1MiB"],
      ...["--annotations", `${NODE_OF_DISK}=node-1`],
    );
    expect(Date.now()).toBeGreaterThan(toMs);
    expect(timesOf(readIdentity(places[1].baseDirectory)!).toMs).toBeGreaterThan(toMs);
  });

  test("a stolen certificate does nothing for another node, and nothing at all once its node is lost", async () => {
    expect(await heartbeat(1, 1)).toMatchObject({ intervalMilliseconds: 5_000 });
    expect(await refused(heartbeat(2, 1))).toMatchObject({ code: "PermissionDenied" });
    await cli.must(
      ...["bs", "create", "others", "--request_bytes", "1MiB", "--limit_bytes", "1MiB"],
      ...["--annotations", `${NODE_OF_DISK}=node-2`],
    );
    const files = await readdir(join(places[2].baseDirectory, "volumes"));
    const [id = ""] = files.flatMap((file) => /^(.*)\.qcow2$/.exec(file)?.[1] ?? []);
    expect(id).not.toBe("");
    const error = await refused(readVolumeAs(places[1], agents[1]!.url, "node-2", id));
    expect(error).toMatchObject({ code: "PermissionDenied" });
    expect(error.message).toContain("it has no ticket of the API");
    await agents[0]?.stop("SIGKILL");
    let answer = "";
    const isLost = async () => {
      const { code, stderr } = await cli.run("node", "lost", "node-1");
      answer = stderr;
      return code === 0;
    };
    await until(isLost, { timeoutMs: 40_000, onTimeout: () => new Error(answer) });
    const late = await refused(heartbeat(1, 1));
    expect(late).toMatchObject({ code: "Unauthenticated" });
    expect(late.message).toContain('the certificate of node "node-1" is revoked');
    await cli.must("node", "found", "node-1");
    expect(await refused(heartbeat(1, 1))).toMatchObject({ code: "Unauthenticated" });
    const printed = await cli.must("-o", "table", "node", "join-token", "--node", "node-1");
    agents[0] = await startAgent(1, printed.trim().split(" ").slice(3));
    await untilReady(cli, 2);
  });
});

/** An underlay of the lab, with two hosts and this computer, where the API listens. */
async function newUnderlay(folder: string, opened: AsyncDisposableStack): Promise<Lab> {
  const lab = claimLab(folder);
  opened.defer(() => releaseLab(lab));
  opened.defer(() => removeNetwork(lab));
  await ensureSwitch(lab);
  for (const index of [1, 2]) await ensureLink(hostOf(lab, `node-${index}`));
  return lab;
}

/** Calls with the certificate that is in a place. */
async function callAs<T>(
  { baseDirectory }: Place,
  { url, expected }: { readonly url: string; readonly expected: Identity },
  call: (transport: Transport) => Promise<T>,
): Promise<T> {
  const { key, certificate, authority } = readIdentity(baseDirectory)!;
  const own = { cert: certificate, key };
  const transport = openTransport(url, 0, { mutual: { authority, own, expected } });
  try {
    return await call(transport);
  } finally {
    transport.close();
  }
}

/** A heartbeat for a node. */
async function heartbeatAs(place: Place, url: string, name: string) {
  return await callAs(place, { url, expected: { kind: "api" } }, (transport) =>
    createClient(NodeService, transport).heartbeatNode({ name }),
  );
}

async function readVolumeAs(place: Place, url: string, nodeName: string, id: string) {
  const expected = { kind: "node", name: nodeName } as const;
  return await callAs(place, { url, expected }, async (transport) => {
    const volumes = createClient(VolumeAgentService, transport);
    return await volumes.readVolume({ id })[Symbol.asyncIterator]().next();
  });
}

/** Serves a raw image of 1 MiB, little by little. */
async function newSlowSource(host: string, durationMs: number) {
  const ending = new AbortController();
  const size = 1 << 20;
  const pieces = 50;
  const pour = async (response: ServerResponse) => {
    response.writeHead(200, { "content-length": String(size) });
    for (let i = 0; i < pieces; i++) {
      response.write(
        Buffer.alloc(Math.ceil(size / pieces)).subarray(0, size - i * Math.ceil(size / pieces)),
      );
      if (!(await pause(systemClock, durationMs / pieces, ending.signal))) break;
    }
    response.end();
  };
  const server = createServer((_, response) => void pour(response));
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  const address = server.address();
  const port = address !== null && typeof address === "object" ? address.port : 0;
  return {
    url: `http://${host}:${port}/image`,
    close: async () => {
      ending.abort();
      server.closeAllConnections();
      server.close();
    },
  };
}
