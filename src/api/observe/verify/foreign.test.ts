import { expect, test } from "vitest";
import { networkRef } from "../../../../test/refs.ts";
import {
  findingsIn,
  handsOn,
  linesOf,
  newVerifyWorld,
  repairIn,
} from "../../../../test/verify-world.ts";
import { addresses, interfaces } from "../../network/interface/collection.ts";

test("what is not ours is neither told of nor touched", async () => {
  await using world = await newVerifyWorld();
  const { here } = handsOn(world);
  here.compute.addForeign("theirs", "6f1a9f60-0000-4000-8000-000000000009");
  here.network.foreignDevices.add("br-theirs");
  // Files of others: nothing beside them says that they are ours, whatever they are called.
  here.volume.damage.set("theirs", { hasFile: true, partialCount: 0 });
  here.volume.damage.set("theirs.0123456789ab", { hasFile: true, sidecar: "altered" });
  const before = [await world.residue(), [...here.volume.damage], [...here.network.foreignDevices]];
  expect(linesOf(await findingsIn(world))).toEqual([]);
  expect(await repairIn(world)).toEqual([]);
  expect([
    await world.residue(),
    [...here.volume.damage],
    [...here.network.foreignDevices],
  ]).toEqual(before);
});

test("an address that is written in another way is no finding", async () => {
  await using world = await newVerifyWorld();
  const { here, read, write, drop } = handsOn(world);
  const net = networkRef("net");
  const interfaceOf = (name: string) => read(interfaces, net, name);
  const [reserved, other] = [await interfaceOf("web0"), await interfaceOf("cold0")];
  const long = (address: string) => address.replace("fd00:7::", "FD00:07:0:0:").toUpperCase();
  // The interface of one, the address of the other, and what the node says.
  expect(long(reserved.ipv6Address)).not.toBe(reserved.ipv6Address);
  await write(interfaces, [net, "web0"], {
    ...reserved,
    ipv6Address: long(reserved.ipv6Address),
  });
  await drop(addresses, net, other.ipv6Address);
  await write(addresses, [net, long(other.ipv6Address)], { usedBy: "cold0" });
  const { networks } = here.network.hands;
  networks.set("net", {
    ...networks.get("net")!,
    gateways: ["FD00:0007:0:0:0:0:0:1/64", "10.0.0.254/24"],
  });
  expect(linesOf(await findingsIn(world))).toEqual([]);
});
