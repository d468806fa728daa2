import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { until } from "../../src/util/until.ts";
import { requirement } from "../node/requirements.ts";
import { EXAMPLE_VM, example } from "./example.ts";
import { inGuest, untilSshAnswers } from "./guest.ts";
import { newPlace, type Place } from "./place.ts";
import { type Cli, newCli, nodeFlags, startServer, untilReady } from "./server.ts";

const isPossible = requirement("root") && requirement("libvirt") && requirement("netns");
const TIMEOUT_MS = 30_000;

describe.runIf(isPossible)("the nics of a guest that runs", () => {
  const opened = new AsyncDisposableStack();
  let place: Place;
  let cli: Cli;

  beforeAll(async () => {
    place = opened.use(await newPlace());
    const flags = ["--name", "node-1", ...nodeFlags(place)];
    const server = await startServer(place, { role: "standalone", flags });
    opened.defer(async () => void (await server.stop()));
    cli = newCli(server, place);
    await untilReady(cli, 1);
    const { code, stderr } = await cli.do(await example("boot-vm", place.baseDirectory));
    expect(`${code}\n${stderr}`).toMatch(/^0\n/);
    await cli.must("network", "apply", "two", "--ipv4_cidr", "10.98.0.0/24");
    await untilSshAnswers(cli, place, EXAMPLE_VM);
  });
  afterAll(() => opened.disposeAsync());

  /** The directories of the guest's network cards, such as `virtio0/net/eth0`, by name with their PCI slots. */
  async function cards(): Promise<Record<string, string>> {
    const said = await guest(
      "cd /sys/class/net && for n in eth*; do echo $n $(readlink -f $n); done",
    );
    const found = said.split("\n").flatMap((line) => {
      const [, name = "", slot = ""] = /^(\S+) .*\/0000:00:(\w\w)\.0\//.exec(line) ?? [];
      return name === "" ? [] : [[name, slot] as const];
    });
    return Object.fromEntries(found);
  }
  const guest = (command: string) => inGuest(cli, place, EXAMPLE_VM, command);
  const untilCards = (wanted: Record<string, string>) =>
    until(async () => JSON.stringify(await cards()) === JSON.stringify(wanted), {
      timeoutMs: TIMEOUT_MS,
      everyMs: 500,
      what: `the guest having ${JSON.stringify(wanted)}`,
    });

  test("it gets one, speaks through it, releases it, and finds the rest in its place after a boot", async () => {
    expect(await cards()).toEqual({ eth0: "03" });
    await cli.must(
      "vm",
      "attach-nic",
      EXAMPLE_VM,
      "--nic",
      "network_name=two,ipv4_address=10.98.0.5",
    );
    await untilCards({ eth0: "03", eth1: "1f" });
    const speak =
      "ip addr add 10.98.0.5/24 dev eth1; ip link set eth1 up; ping -c1 -w9 10.98.0.254";
    expect(await guest(`sudo sh -c '${speak}' || ${speak}`)).toContain("1 packets received");
    expect((await cli.run("verify")).code).toBe(0);

    await cli.must("vm", "detach-nic", EXAMPLE_VM, `${EXAMPLE_VM}1`);
    expect(await cards()).toEqual({ eth0: "03" });
    expect(await cli.must("network", "show", "two", "-o", "json")).not.toContain("10.98.0.5");

    await cli.must("vm", "attach-nic", EXAMPLE_VM, "--nic", "network_name=two");
    await cli.must("vm", "reboot", EXAMPLE_VM, "--hard");
    await untilSshAnswers(cli, place, EXAMPLE_VM);
    await untilCards({ eth0: "03", eth1: "1f" });
    await cli.must("vm", "shutdown", EXAMPLE_VM, "--hard");
    await cli.must("vm", "boot", EXAMPLE_VM);
    await untilSshAnswers(cli, place, EXAMPLE_VM);
    await untilCards({ eth0: "03", eth1: "1f" });
    expect((await cli.run("verify")).code).toBe(0);
  });

  test("a guest that still boots releases none, and the answer says so", async () => {
    await cli.must("vm", "reboot", EXAMPLE_VM, "--hard");
    const refused = await cli.run(
      "vm",
      "detach-nic",
      EXAMPLE_VM,
      `${EXAMPLE_VM}1`,
      "--deadline_seconds",
      "1",
    );
    expect(refused.code, refused.stderr).toBe(6);
    expect(refused.stderr).toContain("has not released nic");
    expect(await cli.must("vm", "get", EXAMPLE_VM, "-o", "json")).toContain(`${EXAMPLE_VM}1`);
    await untilSshAnswers(cli, place, EXAMPLE_VM);
    await cli.must("vm", "detach-nic", EXAMPLE_VM, `${EXAMPLE_VM}1`);
    expect((await cli.run("verify")).code).toBe(0);
  });
});
