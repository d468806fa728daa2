import { expect, test } from "vitest";
import { inProject } from "../../test/projects.ts";
import { webRequest } from "../../test/scenario.ts";
import { newWorld, type World } from "../../test/world.ts";
import { run } from "../program.ts";
import { newTestIo } from "../testing/test-io.ts";

async function n0cli(world: World, line: string) {
  const io = newTestIo({ transport: world.transport, isTerminal: true });
  const exitCode = await run(line.split(" "), io.io);
  return { exitCode, stdout: io.stdout(), stderr: io.stderr() };
}

async function newLab(world: World): Promise<void> {
  const apply =
    "network apply lab --ipv4_cidr 10.1.0.0/24 --domain lab.example --nameservers 10.1.0.53";
  const ranges = "--reserved_ranges 10.1.0.1-10.1.0.9 --reserved-ranges 10.1.0.240/28";
  expect(await n0cli(world, `${apply} ${ranges}`)).toMatchObject({ exitCode: 0 });
  expect(await n0cli(world, "network share lab --with acme")).toMatchObject({ exitCode: 0 });
  const nics = [{ networkName: "lab", ipv4Address: "10.1.0.5" }, { networkName: "lab" }];
  await world.virtualMachines.createVirtualMachine({ ...webRequest("web", []), nics });
  await world.networks.reserveNetworkInterface({
    networkName: "lab",
    networkInterfaceName: "printer",
  });
}

test("network show says everything of a network, a line for each fact and interface", async () => {
  await using world = await newWorld({ inMemory: true });
  const acme = await inProject(world, "acme");
  await newLab(world);
  const nics = [{ networkName: "default/lab" }];
  await acme.virtualMachines.createVirtualMachine({ ...webRequest("theirs", []), nics });

  const { exitCode, stdout } = await n0cli(world, "network show lab");
  const { vni } = await world.networks.getNetwork({ name: "lab" });
  expect(exitCode).toBe(0);
  expect(stdout).toBe(
    [
      "network:         lab",
      "project:         default",
      "visibility:      shared with projects acme",
      "domain:          lab.example",
      "nameservers:     10.1.0.53",
      "nodes:           node-1",
      `vni:             ${vni}`,
      "mtu:             1450",
      "reserved ranges: 10.1.0.1-10.1.0.9, 10.1.0.240/28",
      "",
      "CIDR          GATEWAY      USED   FREE   FREE OUTSIDE RESERVED RANGES",
      "10.1.0.0/24   10.1.0.254   5      249    227",
      "",
      "IPV4 ADDRESS   USED BY                      NODE     SECURITY GROUPS",
      "10.1.0.5       virtual_machine/web, nic 0   node-1   default",
      "10.1.0.237     another project",
      "10.1.0.238     printer, reserved by hand",
      "10.1.0.239     virtual_machine/web, nic 1   node-1   default",
      "10.1.0.254     the gateway",
      "",
    ].join("\n"),
  );
  expect((await n0cli(world, "network show lab -o wide")).stdout).toContain("HARDWARE ADDRESS");
  expect((await n0cli(world, "network show lab -o name")).stdout).toBe("lab\n");

  const json = JSON.parse((await n0cli(world, "network show lab -o json")).stdout);
  expect(json).toMatchObject({
    network: { name: "lab", reserved_ranges: ["10.1.0.1-10.1.0.9", "10.1.0.240/28"] },
    address_counts: [{ free_outside_reserved_ranges: "227" }],
    node_names: ["node-1"],
  });
  expect(json.interfaces).toHaveLength(5);
  expect(JSON.stringify(json)).not.toContain("theirs");
});

test("network show in another project has only what that project sees", async () => {
  await using world = await newWorld({ inMemory: true });
  const acme = await inProject(world, "acme");
  await newLab(world);
  const seen = await n0cli(acme, "network show default/lab");
  expect(seen.stdout).toContain("visibility:      shared with projects\n");
  expect(seen.stdout).toContain("10.1.0.254     the gateway");
  expect(seen.stdout).not.toMatch(/web|printer|node-1/);
  expect((await n0cli(acme, "network show lab")).exitCode).toBe(5);
  expect((await n0cli(world, "network show none")).exitCode).toBe(5);
});
