import { randomBytes, randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Code, createClient } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ComputeAgentService } from "../../src/gen/n0stack/agent/v1alpha1/compute_pb.ts";
import { openTransport } from "../../src/rpc/transport.ts";
import { until } from "../../src/util/until.ts";
import { requirement } from "../node/requirements.ts";
import { inGuest, untilSshAnswers } from "./guest.ts";
import { newPlace, type Place } from "./place.ts";
import { must, PROJECT, run } from "./program.ts";
import { filesBelow, recordKeys, scan } from "./scan.ts";
import { type Cli, newCli, nodeFlags, type Server, startServer, untilReady } from "./server.ts";

const isPossible = requirement("root") && requirement("libvirt") && requirement("netns");
const NODE_OF_DISK = "n0core/provisioning/block_storage/request_node_name";
const SILENCE_MS = 15_000;
const KEY = readFileSync(join(PROJECT, "examples/id_ed25519.pub"), "utf8").trim();

describe.runIf(isPossible)("an API and two agents, with TLS and a token", () => {
  const opened = new AsyncDisposableStack();
  let places: readonly [Place, Place];
  let secured: readonly string[];
  let api: Server;
  let agents: [Server, Server];
  let cli: Cli;

  beforeAll(async () => {
    places = [opened.use(await newPlace()), opened.use(await newPlace())];
    const { cert, key, token } = await newSecrets(join(places[0].baseDirectory, "test"));
    secured = ["--tls-cert", cert, "--tls-key", key, "--tls-ca", cert, "--token-file", token];
    const base = ["--base-directory", places[0].baseDirectory];
    api = await startServer(places[0], { role: "api", flags: [...base, ...secured] });
    opened.defer(async () => void (await api.stop()));
    agents = [await startAgent(0), await startAgent(1)];
    opened.defer(async () => void (await Promise.all(agents.map((agent) => agent.stop()))));
    cli = newCli(api, places[0], ["--token-file", token, "--tls-ca", cert]);
    await untilReady(cli, 2);
  });
  afterAll(() => opened.disposeAsync());

  async function startAgent(index: 0 | 1): Promise<Server> {
    const flags = [
      ...["--name", `node-${index}`],
      ...["--node-api-endpoint", api.url],
      ...["--memory-capacity-bytes", "1GiB"],
      ...nodeFlags(places[index]),
      ...secured,
    ];
    return await startServer(places[index], { role: "agent", name: `agent-${index}`, flags });
  }

  async function doTasks(yaml: string): Promise<void> {
    const { code, stderr } = await cli.do(yaml);
    expect(`${code}\n${stderr}`).toMatch(/^0\n[^]*DAG tasks are completed\n$/);
  }

  async function volumes(index: 0 | 1): Promise<readonly string[]> {
    const files = await filesBelow(join(places[index].baseDirectory, "volumes"));
    return files.filter((name) => name.endsWith(".qcow2"));
  }

  const stateOf = async (kind: string, name: string) =>
    (await cli.json("get", kind, name))["state"];

  test("who has no token, or does not know the certificate, is not let in", async () => {
    const bare = newCli(api, places[0]);
    const stranger = await bare.run("get", "node");
    expect(stranger.code).toBe(1);
    const options = ["--tls-ca", join(places[0].baseDirectory, "test", "cert.pem")];
    const unnamed = await newCli(api, places[0], options).run("get", "node");
    expect(unnamed.code).toBe(4);
    expect(unnamed.stderr).toContain("--token-file");
    // The agents as well.
    const ca = readFileSync(options[1] ?? "", "utf8");
    const transport = opened.adopt(openTransport(agents[0].url, 0, { ca }), (one) => one.close());
    const agent = createClient(ComputeAgentService, transport);
    await expect(agent.getDomain({ name: "web" })).rejects.toMatchObject({
      code: Code.Unauthenticated,
    });
  });

  test("a disk is generated on the node that does not have the image, and boots there", async () => {
    const imageFile = join(places[0].baseDirectory, "images/tiny.qcow2");
    await doTasks(makeImage(imageFile));
    await doTasks(makeDisk("root", "node-1"));
    expect(await volumes(0)).toEqual([expect.stringMatching(/^tiny\./)]);
    // The image's base was copied there: a disk is an overlay on it.
    expect(await volumes(1)).toHaveLength(2);
    await doTasks(makeMachine("web", "[root]"));
    expect((await cli.json("get", "vm", "web"))["compute_node_name"]).toBe("node-1");
    await untilSshAnswers(cli, places[0], "web");
    await inGuest(cli, places[0], "web", "sudo sh -c 'echo kept >/data/note; sync'");
  });

  test("what has no wish goes where most is free; what fits nowhere is told why not", async () => {
    await doTasks(makeMachine("other", "[]"));
    expect((await cli.json("get", "vm", "other"))["compute_node_name"]).toBe("node-0");
    expect((await scan(places[0].prefix)).domains).toEqual([`${places[0].prefix}other`]);
    await cli.must("vm", "delete", "other");
    const { code, stderr } = await cli.do(makeMachine("huge", "[]", "64GiB"));
    expect(code).toBe(1);
    expect(stderr).toMatch(/\[ResourceExhausted\].*node-0: .*node-1: /);
  });

  test("a disk moves to the other node with what is on it", async () => {
    const { code, stderr } = await cli.run(
      "bs",
      "update",
      "root",
      "--annotations",
      `${NODE_OF_DISK}=node-0`,
    );
    expect(`${code} ${stderr}`).toMatch(/^6 .*web/);
    await cli.must("vm", "shutdown", "web", "--deadline_seconds", "60");
    await cli.must("vm", "delete", "web");
    await cli.must("bs", "update", "root", "--annotations", `${NODE_OF_DISK}=node-0`);
    expect((await volumes(0)).filter((name) => name.startsWith("root."))).toHaveLength(1);
    expect((await volumes(1)).filter((name) => name.startsWith("root."))).toEqual([]);
    await doTasks(makeMachine("web", "[root]"));
    expect((await cli.json("get", "vm", "web"))["compute_node_name"]).toBe("node-0");
    await untilSshAnswers(cli, places[0], "web");
    expect(await inGuest(cli, places[0], "web", "cat /data/note")).toBe("kept\n");
  });

  test("an agent that dies is missed; what needs it is refused and undone; then it is back", async () => {
    const records = async () => await cli.must("get", "bs", "-o", "name");
    const before = await records();
    const filesBefore = await filesBelow(join(places[0].baseDirectory, "volumes"));
    await agents[0].stop("SIGKILL");
    const killedMs = performance.now();
    // Before anybody noticed: the call itself finds it out.
    const early = await cli.run(
      ...newDisk("lost"),
      "--annotations",
      `${NODE_OF_DISK}=node-0`,
      "--no-wait",
    );
    expect(`${early.code} ${early.stderr}`).toMatch(/^1 \[Unavailable\].*node-0/);

    await until(async () => (await stateOf("node", "node-0")) === "NOT_READY", {
      what: "node-0 is NOT_READY",
      timeoutMs: 2 * SILENCE_MS,
    });
    // Each look starts n0cli, which takes seconds on a busy node.
    expect(performance.now() - killedMs).toBeLessThan(SILENCE_MS + 12_000);
    expect(await stateOf("node", "node-1")).toBe("READY");
    expect((await stateOf("vm", "web")) ?? "VIRTUAL_MACHINE_UNSPECIFIED").toBe(
      "VIRTUAL_MACHINE_UNSPECIFIED",
    );
    // The guest itself goes on.
    expect((await scan(places[0].prefix)).processes).toHaveLength(1);
    const late = await cli.run(
      ...newDisk("late"),
      "--annotations",
      `${NODE_OF_DISK}=node-0`,
      "--no-wait",
    );
    expect(`${late.code} ${late.stderr}`).toMatch(/^1 \[Unavailable\].*node-0/);
    // Without a wish there is a node left.
    await cli.must(...newDisk("found"));
    expect((await cli.json("get", "bs", "found"))["node_name"]).toBe("node-1");
    await cli.must("bs", "delete", "found");
    await cli.must("bs", "purge", "found");

    agents[0] = await startAgent(0);
    await untilReady(cli, 2);
    // What had begun on the node is undone as soon as it can be.
    await until(async () => (await records()) === before, {
      what: "what was begun is undone",
      timeoutMs: 60_000,
    });
    expect(await filesBelow(join(places[0].baseDirectory, "volumes"))).toEqual(filesBefore);
    await until(async () => (await stateOf("vm", "web")) === "RUNNING", {
      what: "the guest is seen again",
      timeoutMs: 20_000,
    });
    expect(await inGuest(cli, places[0], "web", "cat /data/note")).toBe("kept\n");
    await cli.must(...newDisk("lost"), "--annotations", `${NODE_OF_DISK}=node-0`);
  });

  test("all of it can be removed, and nothing remains", async () => {
    await doTasks(REMOVE_ALL);
    for (const index of [0, 1] as const) {
      expect(await filesBelow(join(places[index].baseDirectory, "volumes"))).toEqual([]);
      expect(await scan(places[index].prefix)).toMatchObject({
        domains: [],
        processes: [],
        namespaces: [],
        links: [],
      });
    }
    expect(await Promise.all(agents.map((agent) => agent.stop()))).toEqual([0, 0]);
    expect(await api.stop()).toBe(0);
    expect(recordKeys(places[0].baseDirectory)).toEqual(["node//node-0", "node//node-1"]);
  });

  test("beyond loopback it serves only what is protected, or said to be insecure", async () => {
    const base = join(places[0].baseDirectory, "exposed");
    const flags = ["--base-directory", base, "--bind-address", "0.0.0.0"];
    const agent = ["serve", "agent", "--bind-port", "0", "--advertise-address", "127.0.0.1"];
    const refused = await run("bin/n0core", [...agent, ...flags]);
    expect(refused.code).toBe(1);
    expect(refused.stdout + refused.stderr).toMatch(/Give --join .*--tls-cert and --tls-key/);
    const insecure = await startServer(places[0], {
      role: "api",
      name: "insecure",
      flags: [...flags, "--insecure"],
    });
    expect(insecure.log()).toContainEqual(
      expect.objectContaining({ level: "warn", message: expect.stringMatching(/^insecure/) }),
    );
    expect(await insecure.stop()).toBe(0);
    const secure = await startServer(places[0], {
      role: "api",
      name: "secure",
      flags: [...flags, ...secured],
    });
    expect(await secure.stop()).toBe(0);
  });
});

function newDisk(name: string): readonly string[] {
  return ["bs", "create", name, "--request_bytes", "1MiB", "--limit_bytes", "1MiB"];
}

async function newSecrets(folder: string) {
  const [cert, key, token] = ["cert.pem", "key.pem", "token"].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  const subject = ["-subj", "/CN=n0core", "-addext", "subjectAltName=IP:127.0.0.1"];
  const kind = [
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:prime256v1",
    "-nodes",
    "-days",
    "2",
  ];
  await must("openssl", ["req", "-x509", ...kind, ...subject, "-keyout", key, "-out", cert]);
  await writeFile(token, randomBytes(24).toString("hex"), { mode: 0o600 });
  return { cert, key, token };
}

function makeImage(file: string): string {
  return `
fetch:
  type: block_storage
  action: FetchBlockStorage
  args:
    name: tiny
    source_url: "file://${file}"
    request_bytes: 64MiB
    limit_bytes: 1GiB
    annotations: { ${NODE_OF_DISK}: node-0 }
apply: { type: image, action: ApplyImage, args: { name: tiny } }
register:
  type: image
  action: RegisterBlockStorage
  args: { image_name: tiny, block_storage_name: tiny, tags: [latest] }
  depends_on: [fetch, apply]
network: { type: network, action: ApplyNetwork, args: { name: lab, ipv4_cidr: 10.96.0.0/24 } }
`;
}

function makeDisk(name: string, nodeName: string): string {
  return `
generate:
  type: image
  action: GenerateBlockStorage
  args:
    image_name: tiny
    tag: latest
    block_storage_name: ${name}
    request_bytes: 64MiB
    limit_bytes: 1GiB
    annotations: { ${NODE_OF_DISK}: ${nodeName} }
`;
}

function makeMachine(name: string, disks: string, memory: string = "256MiB"): string {
  return `
create:
  type: virtual_machine
  action: CreateVirtualMachine
  args:
    name: ${name}
    uuid: ${randomUUID()}
    request_cpu_milli_core: 100
    limit_cpu_milli_core: 1000
    request_memory_bytes: ${memory}
    limit_memory_bytes: ${memory}
    block_storage_names: ${disks}
    nics: [{ network_name: lab }]
    login_username: n0
    ssh_authorized_keys: ["${KEY}"]
`;
}

const REMOVE_ALL = `
vm: { type: virtual_machine, action: DeleteVirtualMachine, args: { name: web } }
network: { type: network, action: DeleteNetwork, args: { name: lab }, depends_on: [vm] }
root: { type: block_storage, action: DeleteBlockStorage, args: { name: root }, depends_on: [vm] }
purge-root: { type: block_storage, action: PurgeBlockStorage, args: { name: root }, depends_on: [root] }
lost: { type: block_storage, action: DeleteBlockStorage, args: { name: lost } }
purge-lost: { type: block_storage, action: PurgeBlockStorage, args: { name: lost }, depends_on: [lost] }
unregister:
  type: image
  action: UnregisterBlockStorage
  args: { image_name: tiny, block_storage_name: tiny }
image: { type: image, action: DeleteImage, args: { name: tiny }, depends_on: [unregister] }
tiny: { type: block_storage, action: DeleteBlockStorage, args: { name: tiny }, depends_on: [unregister] }
purge-tiny:
  type: block_storage
  action: PurgeBlockStorage
  args: { name: tiny }
  depends_on: [tiny, purge-root]
`;
