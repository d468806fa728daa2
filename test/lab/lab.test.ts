// npm run lab for real: hosts that join, guests on each, cuts, a power cut, and back to nothing.
import { randomBytes } from "node:crypto";
import { chmodSync, copyFileSync, readdirSync, readlinkSync, rmSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { until } from "../../src/util/until.ts";
import { inGuest, untilSshAnswers } from "../e2e/guest.ts";
import type { Place } from "../e2e/place.ts";
import { type Answer, PROJECT, run, start } from "../e2e/program.ts";
import { type Cli, newCli } from "../e2e/server.ts";
import { requirement } from "../node/requirements.ts";
import { bareMachine, LEFT, manyChanges, networkTask } from "./changes.ts";
import { guestsOn, STRANGER, STRANGER_ADDRESS } from "./guests.ts";
import { tracesOf } from "./traces.ts";

const isPossible = requirement("root") && requirement("libvirt") && requirement("netns");
const UP_TIMEOUT_MS = 170_000;
const NODES = ["node-1", "node-2"];

function newLab() {
  const folder = `/tmp/n0lab-${randomBytes(3).toString("hex")}`;
  const words = [join(PROJECT, "scripts/lab/main.ts"), "--folder", folder];
  const options = { timeoutMs: UP_TIMEOUT_MS };
  return {
    folder,
    run: (...args: readonly string[]) => run(process.execPath, [...words, ...args], options),
    start: (...args: readonly string[]) => start(process.execPath, [...words, ...args]),
    /** What tells its names and addresses from those of other labs. */
    number: () =>
      readdirSync("/run/n0stack-lab").find(
        (name) => readlinkSync(`/run/n0stack-lab/${name}`) === folder,
      ) ?? "",
  };
}

describe.runIf(isPossible)("a lab of two nodes", () => {
  const lab = newLab();
  let number: string;
  let cli: Cli;
  let place: Omit<Place, keyof AsyncDisposable>;

  beforeAll(async () => {
    good(await lab.run("up", "--nodes", "2"));
    number = lab.number();
    const data = join(lab.folder, "hosts/api/n0core");
    const configHome = join(lab.folder, "config");
    place = { baseDirectory: data, prefix: "n0-", keyFile: join(configHome, "key"), configHome };
    copyFileSync(join(PROJECT, "examples/id_ed25519"), place.keyFile);
    chmodSync(place.keyFile, 0o600);
    const url = `https://198.19.${number}.100:20180`;
    cli = newCli({ url }, place, ["--tls-ca", join(data, "authority/certificate.pem")]);
  }, UP_TIMEOUT_MS);
  afterAll(async () => {
    await lab.run("down");
    rmSync(lab.folder, { recursive: true, force: true });
  });

  const status = async () => {
    const { code, stdout } = await lab.run("status");
    return { code, stdout };
  };
  const stateOf = async (kind: string, name: string) =>
    (await cli.json("get", kind, name))["state"];
  const untilState = async (kind: string, name: string, wanted: string) => {
    const isSo = async () => (await stateOf(kind, name)) === wanted;
    await until(isSo, { what: `${kind} ${name} is ${wanted}`, timeoutMs: 60_000, everyMs: 300 });
  };
  const addressOf = async (vm: string) => {
    const text = JSON.stringify(await cli.json("get", "vm", vm));
    return /"ipv4_address":"([^"]+)"/.exec(text)?.[1] ?? "";
  };
  /** What scan-host finds on each node. */
  const findings = async () => {
    const scans = NODES.map(async (node) => {
      const scan = [join(PROJECT, "scripts/scan-host.ts"), "--node", node];
      const endpoint = ["--api-endpoint", `https://198.19.${number}.100:20180`];
      const { stdout } = await lab.run("exec", node, process.execPath, ...scan, ...endpoint);
      return (JSON.parse(stdout) as { findings: unknown }).findings;
    });
    return await Promise.all(scans);
  };
  const nothingIsWrong = async () => {
    const { code, stdout } = await cli.run("verify");
    expect(`${code}\n${stdout}`).toMatch(/^0\n/);
    expect(await findings()).toEqual([[], []]);
  };

  test("each node has joined, with a host name, an address and a libvirtd of its own", async () => {
    const { code, stdout } = await status();
    expect(stdout).toMatch(/^node-2 +198\.19\.\d+\.2 +running +answers +serves +READY$/m);
    expect(code).toBe(0);
    for (const node of NODES) {
      const { address } = await cli.json("get", "node", node);
      expect(address).toBe(`https://198.19.${number}.${node.at(-1)}:20181`);
      expect(good(await lab.run("exec", node, "hostname"))).toBe(`${node}\n`);
    }
    const uuids = NODES.map((node) => lab.run("exec", node, "virsh", "capabilities"));
    const found = (await Promise.all(uuids)).map(({ stdout: xml }) => /<uuid>(.*)</.exec(xml)?.[1]);
    expect(new Set(found).size).toBe(2);
    expect(await lab.run("exec", "node-1", "sh", "-c", "exit 7")).toMatchObject({ code: 7 });
  });

  test("a guest boots on each node", async () => {
    const { code, stderr } = await cli.do(guestsOn(NODES));
    expect(`${code}\n${stderr}`).toMatch(/^0\n/);
    for (const node of NODES) {
      expect((await cli.json("get", "vm", node))["compute_node_name"]).toBe(node);
      const running = good(await lab.run("exec", node, "virsh", "list", "--name"));
      expect(running.split("\n")).toContain(`n0-${node}`);
    }
    await Promise.all([...NODES, STRANGER].map((vm) => untilSshAnswers(cli, place, vm)));
    expect(await findings()).toEqual([[], []]);
  });

  test("guests of one network reach each other across nodes, and nobody of another network", async () => {
    const address = await addressOf("node-2");
    const fragments = async () => {
      const table = good(await lab.run("exec", "node-1", "cat", "/proc/net/snmp"));
      const [names, values] = table.split("\n").filter((line) => line.startsWith("Ip:"));
      return values!.split(" ")[names!.split(" ").indexOf("FragCreates")];
    };
    const before = await fragments();
    // 28 bytes of headers. The stranger has the address in a network with the same CIDR.
    const words = `cat /sys/class/net/eth0/mtu; ping -c2 -w9 -s1400 ${address}; ping -c2 -w9 -s1422 ${address}`;
    const said = await inGuest(
      cli,
      place,
      "node-1",
      `${words}; ping -c1 -w3 ${STRANGER_ADDRESS} || true`,
    );
    expect(said).toMatch(/^1450\n/);
    expect(said.match(/2 packets received/g)).toHaveLength(2);
    expect(said).toContain("0 packets received");
    expect(await fragments()).toBe(before);
    const asking = "udhcpc -i eth0 -n -q -s /bin/true 2>&1";
    const metadata = "http://169.254.169.254/latest/meta-data/local-hostname";
    for (const [from, to] of [NODES, NODES.toReversed()]) {
      const words = `ping -c1 -w9 ${to}.lab.internal; sudo ${asking}; wget -qO- ${metadata}`;
      const answers = await inGuest(cli, place, from!, words);
      expect(answers).toContain("1 packets received");
      expect(answers).toContain(`lease of ${await addressOf(from!)} obtained`);
      expect(answers).toMatch(new RegExp(`\n${from}$`));
    }
    // A guest that takes another address is heard by nobody, and its own still works.
    const spoofed = await inGuest(
      cli,
      place,
      "node-1",
      `sudo ip addr add 10.96.0.200/24 dev eth0; ping -c1 -w3 -I 10.96.0.200 ${address} || true; ping -c1 -w9 ${address}; sudo ip addr del 10.96.0.200/24 dev eth0`,
    );
    expect(spoofed.match(/\d packets received/g)).toEqual([
      "0 packets received",
      "1 packets received",
    ]);
    // It would look for whoever asked, if it had heard the question.
    expect(await inGuest(cli, place, "node-2", "ip neigh")).not.toContain("10.96.0.200");
    expect(await cli.run("verify")).toMatchObject({ code: 0 });
  });

  test("a node without power keeps its addresses, and gets its guest back", async () => {
    const lost = await addressOf("node-1");
    good(await lab.run("kill", "node-1"));
    const { code, stdout } = await status();
    expect(code).toBe(3);
    expect(stdout).toMatch(/broken: node-1 is off; npm run lab -- start node-1$/m);
    await untilState("node", "node-1", "NOT_READY");
    const thief = bareMachine("thief", "node-2", [`network_name=lab,ipv4_address=${lost}`]);
    expect((await cli.run(...thief)).stderr).toMatch(new RegExp(`${lost}.*node-1`));
    await cli.must(...bareMachine("other", "node-2", ["network_name=lab"]));
    expect([lost, await addressOf("node-2")]).not.toContain(await addressOf("other"));
    await cli.must("vm", "delete", "other");
    good(await lab.run("start", "node-1"));
    await untilState("node", "node-1", "READY");
    // libvirt has its definition, and no process.
    await untilState("vm", "node-1", "SHUTDOWN");
    await cli.must("vm", "boot", "node-1");
  });

  test("a node that is cut misses 50 changes, and knows all of them when it is back", async () => {
    good(await lab.run("cut", "api", "node-2"));
    const { code, stderr } = await cli.do(manyChanges("node-1"));
    expect(`${code}\n${stderr}`).toMatch(/^0\n/);
    expect((await status()).stdout).toMatch(
      /broken: api and node-2 are cut; npm run lab -- heal api node-2$/m,
    );
    await untilState("node", "node-2", "NOT_READY");
    good(await lab.run("heal", "node-2", "api"));
    await untilState("node", "node-2", "READY");
    await Promise.all(NODES.map((node) => untilSshAnswers(cli, place, node)));
    const knows = async (what: "fdb" | "neighbors") => {
      const words =
        what === "fdb"
          ? ["bridge", "-n", "n0-lab", "fdb", "show", "dev", "vx0"]
          : ["ip", "-n", "n0-lab", "neighbor", "show", "nud", "permanent"];
      return good(await lab.run("exec", "node-2", ...words)).match(/ dst |10\.96\./g)?.length;
    };
    // The guest of node-1, and those that are left with their four addresses.
    const isTold = async () => (await knows("fdb")) === 3 && (await knows("neighbors")) === 1 + 8;
    await until(isTold, { what: "node-2 knows", timeoutMs: 60_000 });
    for (const name of LEFT) await cli.must("vm", "delete", name);
    await nothingIsWrong();
  });

  test("a link that is cut in the middle of a create leaves nothing on either side", async () => {
    const networks = Array.from({ length: 8 }, (_, i) => `mid-${i}`);
    const { code } = await cli.do(networks.map(networkTask).join(""));
    expect(code).toBe(0);
    const nics = networks.map((name) => `network_name=${name}`);
    const creating = cli.start(...bareMachine("mid", "node-2", nics));
    const begun = "while ! test -e /run/netns/n0-mid-0; do sleep 0.02; done";
    good(await lab.run("exec", "node-2", "sh", "-c", begun));
    good(await lab.run("cut", "api", "node-2"));
    expect(await creating.ended).toBe(1);
    expect(creating.stderr()).toContain('node "node-2": its agent does not answer');
    good(await lab.run("heal", "api", "node-2"));
    const isGone = async () => (await cli.run("get", "vm", "mid")).code !== 0;
    await until(isGone, { what: "the create is unwound", timeoutMs: 60_000, everyMs: 300 });
    expect(good(await lab.run("exec", "node-2", "ls", "/run/netns"))).not.toContain("mid");
    await nothingIsWrong();
  });

  test("a frozen host does nothing until it is thawed", async () => {
    good(await lab.run("freeze", "node-2"));
    expect((await status()).stdout).toMatch(/^node-2 .* frozen /m);
    expect(await lab.run("exec", "node-2", "true")).toMatchObject({
      code: 1,
      stderr: "lab: node-2 is frozen; thaw it: npm run lab -- thaw node-2\n",
    });
    good(await lab.run("thaw", "node-2"));
    expect(good(await lab.run("exec", "node-2", "virsh", "uri"))).toContain("qemu:///system");
  });

  test("up again starts what is missing, and refuses fewer nodes", async () => {
    good(await lab.run("kill", "api"));
    expect(await lab.run("up", "--nodes", "1")).toMatchObject({
      code: 1,
      stderr: "lab: the lab has 2 nodes; say --nodes 2, or take it down first\n",
    });
    good(await lab.run("up", "--nodes", "2"));
    await until(async () => (await status()).code === 0, { what: "all runs", timeoutMs: 60_000 });
    await untilState("vm", "node-1", "RUNNING");
  });

  test("down leaves nothing, with guests that run and a host that is frozen", async () => {
    good(await lab.run("freeze", "node-1"));
    expect(await tracesOf(lab.folder, number)).not.toEqual([]);
    good(await lab.run("down"));
    expect(await tracesOf(lab.folder, number)).toEqual([]);
    expect(await lab.run("down")).toMatchObject({
      code: 0,
      stdout: `There is no lab in ${lab.folder}.\n`,
    });
  });
});

describe.runIf(isPossible)("a lab that is interrupted", () => {
  test.each([
    ["SIGTERM", "takes down what it made by itself"],
    ["SIGKILL", "is taken down by down"],
  ] as const)("by %s while it comes up: %s", async (signal, _) => {
    const lab = newLab();
    const rising = lab.start("up", "--nodes", "1");
    await until(() => rising.stdout().includes("node-1: libvirtd"), {
      what: "the API is up",
      timeoutMs: 60_000,
    });
    const number = lab.number();
    rising.child.kill(signal);
    const code = await rising.ended;
    if (signal === "SIGTERM") expect(code).toBe(130);
    else good(await lab.run("down"));
    expect(await tracesOf(lab.folder, number)).toEqual([]);
  });
});

function good({ code, stdout, stderr }: Answer): string {
  expect(`${code} ${stderr}`).toMatch(/^0 /);
  return stdout;
}
