import { existsSync } from "node:fs";
import { readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { enumToJson } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { VirtualMachine_VirtualMachineStateSchema } from "../../src/gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { until } from "../../src/util/until.ts";
import { requirement } from "../node/requirements.ts";
import { type Clients, openClients } from "./clients.ts";
import { EXAMPLE_VM, example } from "./example.ts";
import { inGuest, untilSshAnswers } from "./guest.ts";
import { newPlace, type Place } from "./place.ts";
import { must, run, start } from "./program.ts";
import { filesBelow, recordKeys, scan } from "./scan.ts";
import { type Cli, newCli, nodeFlags, type Server, startServer, untilReady } from "./server.ts";
import { FQDN, HOSTNAME, holdersIn, MULTIPART, withUserData } from "./user-data.ts";

const isPossible = requirement("root") && requirement("libvirt") && requirement("netns");
/** How soon the API has to know that a guest powered off, also where the node is busy. Only an event tells it. */
const OBSERVED_WITHIN_MS = 5_000;

describe.runIf(isPossible)("boot-vm.yaml on a standalone server", () => {
  const opened = new AsyncDisposableStack();
  let place: Place;
  let server: Server;
  let cli: Cli;
  let clients: Clients;
  let before: unknown;

  beforeAll(async () => {
    place = opened.use(await newPlace());
    server = await startServer(place, {
      role: "standalone",
      flags: ["--name", "node-1", "--log-level", "debug", ...nodeFlags(place)],
    });
    opened.defer(async () => void (await server.stop()));
    cli = newCli(server, place);
    clients = opened.use(openClients(server));
    await untilReady(cli, 1);
    before = await everything();
  });
  afterAll(() => opened.disposeAsync());

  async function bootExample(): Promise<string> {
    return withUserData(await example("boot-vm", place.baseDirectory), MULTIPART);
  }

  /** All that this instance has on the machine but its logs, and but the folders for machines, disks and services of networks. */
  async function everything() {
    const files = await filesBelow(place.baseDirectory);
    return {
      ...(await scan(place.prefix)),
      files: files.filter((path) => !/^(?:test|api)\/|\.log$|^(?:vm|volumes|services)$/.test(path)),
    };
  }

  async function state(): Promise<string> {
    const { state } = await clients.machines.getVirtualMachine({ name: EXAMPLE_VM });
    return String(enumToJson(VirtualMachine_VirtualMachineStateSchema, state));
  }

  async function untilState(wanted: string, timeoutMs: number): Promise<number> {
    const startMs = performance.now();
    await until(async () => (await state()) === wanted, {
      what: `${EXAMPLE_VM} is ${wanted}`,
      timeoutMs,
    });
    return performance.now() - startMs;
  }

  test("makes a guest that answers on SSH as its login user", async () => {
    const { code, stderr } = await cli.do(await bootExample());
    expect(`${code}\n${stderr}`).toMatch(/^0\n[^]*DAG tasks are completed\n$/);
    const seconds = await untilSshAnswers(cli, place, EXAMPLE_VM);
    console.info(`boot-vm: SSH ${seconds.toFixed(1)} s after n0cli do`);
    const said = await inGuest(
      cli,
      place,
      EXAMPLE_VM,
      "id -un; hostname; ip -4 -o addr show dev eth0",
    );
    expect(said).toMatch(new RegExp(`^n0\n${HOSTNAME}\n.*inet 10\\.99\\.0\\.10/24`));
    const table = await cli.must("vm", "get", EXAMPLE_VM, "-o", "table");
    expect(table).toMatch(/^NAME +.*STATE/);
    expect(table).toMatch(new RegExp(`^${EXAMPLE_VM} +.*RUNNING.*10\\.99\\.0\\.10`, "m"));
  });

  test("the guest gets its user data, and nobody else", async () => {
    // The tiny guest runs none, but its login user has the key that is in another part.
    const get = "wget -qO - http://169.254.169.254/latest/user-data; ls /run/command /etc/secret";
    const inside = await inGuest(cli, place, EXAMPLE_VM, `${get} 2>/dev/null || true`);
    expect(inside).toContain(MULTIPART);
    expect(inside).not.toMatch(/^\//m);
    expect(await inGuest(cli, place, EXAMPLE_VM, "cat /etc/hosts")).toContain(FQDN);

    const { mode } = await stat(join(place.baseDirectory, "vm", EXAMPLE_VM, "seed.iso"));
    expect(mode & 0o777).toBe(0o600);
    const file = join(place.baseDirectory, "test", "user-data");
    await writeFile(file, MULTIPART.replace("MIME-Version: 1.0\n", ""));
    const size = ["--request_cpu_milli_core", "100", "--request_memory_bytes", "64MiB"];
    const refusal = await cli.run("vm", "create", "other", ...size, "--user_data", file);
    expect(refusal.stderr).toContain("MIME-Version");
    const { domains, processes } = await scan(place.prefix);
    const seen = {
      refusal: `${refusal.stdout}${refusal.stderr}`,
      vm: await cli.must("vm", "get", EXAMPLE_VM, "-o", "json"),
      transactions: await cli.must("tx", "list", "-o", "json"),
      findings: (await cli.run("verify", "-o", "json")).stdout,
      log: JSON.stringify(server.log()),
      qemu: await readFile(`/proc/${processes[0]}/cmdline`, "utf8"),
      domain: await must("virsh", ["dumpxml", domains[0]!]),
    };
    expect(holdersIn(seen)).toEqual([]);
    expect(seen.log).toContain('"level":"debug"');
    expect(seen.vm).toContain(FQDN);
    expect(holdersIn({ inside })).toEqual(["inside"]);
  });

  test("what the guest prints is read, followed and typed to", async () => {
    expect(await cli.must("vm", "log", EXAMPLE_VM)).toContain(`ready ${HOSTNAME}`);
    const follow = cli.start("vm", "log", EXAMPLE_VM, "-f");
    const serial = cli.start("vm", "console", EXAMPLE_VM, "--serial");
    try {
      await until(() => follow.stdout().includes("ready"), {
        what: "vm log -f shows the boot",
        timeoutMs: 30_000,
      });
      // The session's console lists what is printed from when it is attached.
      await until(
        async () => {
          await inGuest(cli, place, EXAMPLE_VM, "sudo sh -c 'echo marked-$((6*7)) >/dev/console'");
          return follow.stdout().includes("marked-42") && serial.stdout().includes("marked-42");
        },
        { what: "both streams carry what the guest prints", timeoutMs: 60_000 },
      );
    } finally {
      follow.child.kill("SIGINT");
      serial.child.kill("SIGINT");
      await Promise.all([follow.ended, serial.ended]);
    }
  });

  test("the guest reaches what is beyond its network through the node's uplink", async () => {
    const name = `${place.prefix}host`;
    await using host = await newHost(name);
    const said = await inGuest(
      cli,
      place,
      EXAMPLE_VM,
      `nc -w 10 ${host.address} ${host.port} </dev/null`,
    );
    // NAT: the other side sees the node, which it can answer, and not the guest.
    expect(said).toMatch(/^hello 198\.18\./);
  });

  test("a guest that powers itself off is SHUTDOWN at once, and keeps what it wrote", async () => {
    await inGuest(cli, place, EXAMPLE_VM, "sudo sh -c 'echo kept >/data/note; sync'");
    const [pid] = (await scan(place.prefix)).processes;
    // The connection goes with the guest, and is not waited for.
    const ssh = cli.start("vm", "ssh", EXAMPLE_VM, "-i", place.keyFile, "--", "sudo poweroff");
    await until(() => !existsSync(`/proc/${pid}`), { what: "QEMU ends", timeoutMs: 30_000 });
    expect(await untilState("SHUTDOWN", 10_000)).toBeLessThan(OBSERVED_WITHIN_MS);
    ssh.child.kill();
    await ssh.ended;
    await cli.must("vm", "boot", EXAMPLE_VM);
    expect(await state()).toBe("RUNNING");
    await untilSshAnswers(cli, place, EXAMPLE_VM);
    expect(await inGuest(cli, place, EXAMPLE_VM, "cat /data/note")).toBe("kept\n");
  });

  test("is paused, goes on, and is shut down by its power button", async () => {
    const uptime = async () =>
      Number((await inGuest(cli, place, EXAMPLE_VM, "cat /proc/uptime")).split(" ")[0]);
    const atFirst = await uptime();
    await cli.must("vm", "save", EXAMPLE_VM);
    expect(await state()).toBe("PAUSED");
    await cli.must("vm", "resume", EXAMPLE_VM);
    expect(await state()).toBe("RUNNING");
    await untilSshAnswers(cli, place, EXAMPLE_VM);
    // It went on; it did not begin anew.
    expect(await uptime()).toBeGreaterThan(atFirst);
    await cli.must("vm", "shutdown", EXAMPLE_VM, "--deadline_seconds", "60");
    expect(await state()).toBe("SHUTDOWN");
    await cli.must("vm", "boot", EXAMPLE_VM);
    // A guest that has just begun to boot does not hear the first press.
    const startMs = performance.now();
    await cli.must("vm", "shutdown", EXAMPLE_VM, "--deadline_seconds", "90");
    console.info(`boot-vm: off ${Math.round(performance.now() - startMs)} ms after its boot`);
    expect(await state()).toBe("SHUTDOWN");
    await cli.must("vm", "boot", EXAMPLE_VM);
    await cli.must("vm", "save", EXAMPLE_VM);
    expect((await cli.run("vm", "reboot", EXAMPLE_VM)).stderr).toContain(
      "cannot hear the power button",
    );
    await cli.must("vm", "reboot", EXAMPLE_VM, "--hard");
    expect(await state()).toBe("RUNNING");
    await cli.must("vm", "shutdown", EXAMPLE_VM, "--hard");
    expect(await state()).toBe("SHUTDOWN");
    await cli.must("vm", "boot", EXAMPLE_VM);
  });

  test("boot-vm.yaml again says what is there, and changes nothing", async () => {
    const { code, stderr } = await cli.do(await bootExample());
    expect(code).toBe(1);
    expect(stderr).toContain("exists already");
    expect(await state()).toBe("RUNNING");
  });

  test("delete-vm.yaml leaves nothing", async () => {
    const { code, stderr } = await cli.do(await example("delete-vm", place.baseDirectory));
    expect(`${code}\n${stderr}`).toMatch(/^0\n[^]*DAG tasks are completed\n$/);
    expect(await everything()).toEqual(before);
  });

  test("the server ends when it is asked to", async () => {
    expect(await server.stop()).toBe(0);
    const { domains, processes, namespaces, links } = await scan(place.prefix);
    expect([...domains, ...processes, ...namespaces, ...links]).toEqual([]);
    expect(recordKeys(place.baseDirectory)).toEqual(["node//node-1"]);
    const complaints = server.log().filter(({ level }) => level === "error");
    expect(complaints).toEqual([]);
  });
});

/**
 * A host beyond the node: a namespace on a wire of its own, with a server that tells who calls. The node reaches
 * it through a gateway: from a network that the node itself joins, its wall shuts guests out within seconds.
 */
async function newHost(name: string): Promise<AsyncDisposable & { address: string; port: number }> {
  const undo = new AsyncDisposableStack();
  const [address, port] = ["198.18.78.1", 7777];
  const wire = `${name.slice(3, 9)}w`;
  await must("ip", ["netns", "add", name]);
  undo.defer(async () => void (await run("ip", ["netns", "delete", name])));
  await must("ip", ["link", "add", wire, "type", "veth", "peer", "name", "w0", "netns", name]);
  await must("ip", ["address", "add", "198.18.77.1/30", "dev", wire]);
  await must("ip", ["link", "set", wire, "up"]);
  await must("ip", ["-n", name, "address", "add", "198.18.77.2/30", "dev", "w0"]);
  await must("ip", ["-n", name, "address", "add", address, "dev", "w0"]);
  await must("ip", ["-n", name, "link", "set", "w0", "up"]);
  await must("ip", ["route", "add", address, "via", "198.18.77.2"]);
  const listener = `TCP-LISTEN:${port},fork,reuseaddr`;
  const socat = start("ip", [
    "netns",
    "exec",
    name,
    "socat",
    listener,
    "SYSTEM:echo hello $SOCAT_PEERADDR",
  ]);
  undo.defer(async () => {
    socat.child.kill();
    await socat.ended;
  });
  await until(
    async () => (await must("ip", ["netns", "exec", name, "ss", "-Hltn"])).includes(`:${port}`),
    { what: "the host listens", timeoutMs: 30_000 },
  );
  return { address, port, [Symbol.asyncDispose]: () => undo.disposeAsync() };
}
