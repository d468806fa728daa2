import type { MessageInitShape } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { collect } from "../../../../test/collect.ts";
import { prepareDisk, webRequest } from "../../../../test/scenario.ts";
import { newWorld, type World } from "../../../../test/world.ts";
import type { ApplyNetworkRequestSchema } from "../../../gen/n0stack/pool/v0/network_pb.ts";

const NET = { name: "net", ipv4Cidr: "10.0.0.0/24" };

const onNode = (world: World) => world.fakeNodes[0]!.snapshot().network.networks["net"]?.services;
const findings = async (world: World) =>
  (await world.verify.verify({})).findings.map(({ code }) => code).sort();

test("domain and nameservers reach the node while a virtual machine runs, and verify sees others there", async () => {
  await using world = await newWorld();
  await prepareDisk(world);
  await world.networks.applyNetwork({ ...NET, domain: "Net.Internal." });
  await world.virtualMachines.createVirtualMachine(webRequest());
  expect(onNode(world)).toEqual({ domain: "net.internal", nameservers: [] });
  const nameservers = ["10.0.0.53", "2001:DB8::0:53", "10.0.0.53"];
  const applied = await world.networks.applyNetwork({ ...NET, nameservers });
  expect(applied.nameservers).toEqual(["10.0.0.53", "2001:db8::53"]);
  expect((await world.networks.getNetwork({ name: "net" })).nameservers).toEqual(
    applied.nameservers,
  );
  expect(onNode(world)).toEqual({ nameservers: applied.nameservers });
  expect(await findings(world)).toEqual(["vm.seed_stale"]);

  const { networks } = world.fakeNodes[0]!.drivers.network.hands;
  networks.set("net", { ...networks.get("net")!, services: { nameservers: ["192.0.2.1"] } });
  expect(await findings(world)).toEqual(["network.services_differ", "vm.seed_stale"]);
  expect(await collect(world.verify.repair({}))).not.toEqual([]);
  expect(onNode(world)).toEqual({ nameservers: applied.nameservers });
  await world.networks.applyNetwork(NET);
  expect(onNode(world)).toEqual({ nameservers: [] });
});

test("what cannot be a nameserver or a domain is refused with its field", async () => {
  await using world = await newWorld({ nodeCount: 0 });
  const wrong: [MessageInitShape<typeof ApplyNetworkRequestSchema>, string][] = [
    [{ nameservers: ["dns.example.com"] }, "nameservers[0]"],
    [{ nameservers: ["10.0.0.53", "10.0.0.0/24"] }, "nameservers[1]"],
    [{ nameservers: ["10.0.0.53#5353"] }, "nameservers[0]"],
    [{ nameservers: ["fe80::1%eth0"] }, "nameservers[0]"],
    [{ nameservers: ["127.0.0.1"] }, "nameservers[0]"],
    [{ nameservers: Array.from({ length: 9 }, (_, i) => `10.0.0.${i}`) }, "nameservers"],
    [{ domain: "a/b" }, "domain"],
    [{ domain: "a\nport=54" }, "domain"],
    [{ domain: "a..b" }, "domain"],
  ];
  for (const [fields, field] of wrong) {
    const refused = world.networks.applyNetwork({ ...NET, ...fields });
    await expect(refused).rejects.toThrow(field);
  }
  expect((await world.networks.listNetworks({})).networks).toEqual([]);
});
