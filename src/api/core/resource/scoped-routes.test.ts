import { expect, test } from "vitest";
import { reader } from "../../../../test/collect.ts";
import { inProject } from "../../../../test/projects.ts";
import { GiB, prepareDisk, prepareImage, webRequest } from "../../../../test/scenario.ts";
import { newWorld, type World, withHeaders } from "../../../../test/world.ts";
import { scopeFieldOf } from "../../../datastore/collection.ts";
import { Visibility } from "../../../gen/n0stack/iam/v1alpha1/visibility_pb.ts";
import { levelOf } from "../../../util/ref.ts";
import { resources } from "../../resources.ts";

test("each object of a project or a domain has a field for it", () => {
  // A role binding names its place, which may also be the system.
  for (const { kind, schema } of resources.filter((one) => one.kind !== "role_binding")) {
    const level = levelOf(kind);
    const field = level === "system" ? undefined : level;
    expect(scopeFieldOf(kind, schema), kind).toBe(field);
  }
});

async function makeAll(world: World) {
  await prepareDisk(world);
  await prepareImage(world);
  return {
    network: await world.networks.applyNetwork({ name: "lan", ipv4Cidr: "10.9.0.0/24" }),
    disk: await world.blockStorages.createBlockStorage({
      name: "data",
      requestBytes: GiB,
      limitBytes: GiB,
    }),
    generated: await world.images.generateBlockStorage({
      imageName: "debian",
      tag: "12",
      blockStorageName: "over",
      requestBytes: GiB,
      limitBytes: 10n * GiB,
    }),
    image: await world.images.applyImage({ name: "other" }),
    vm: await world.virtualMachines.createVirtualMachine(webRequest()),
  };
}

test.each(["default", "acme"])(
  "what is made, read, listed and watched says its project: %s",
  async (project) => {
    await using world = await newWorld({ inMemory: true });
    const own = project === "default" ? world : await inProject(world, project);
    for (const made of Object.values(await makeAll(own))) {
      expect(made.project, made.$typeName).toBe(project);
    }
    const stopped = await own.virtualMachines.shutdownVirtualMachine({ name: "web", hard: true });
    expect(stopped.project).toBe(project);
    expect((await own.virtualMachines.getVirtualMachine({ name: "web" })).project).toBe(project);
    expect((await own.images.getImage({ name: "debian" })).project).toBe(project);
    const { networks } = await own.networks.listNetworks({});
    expect(networks.map((network) => network.project)).toEqual(networks.map(() => project));
    const { blockStorages } = await own.blockStorages.listBlockStorages({});
    expect(blockStorages.map((disk) => disk.project)).toEqual(blockStorages.map(() => project));
    const watch = reader(own.virtualMachines.watchVirtualMachines({}));
    expect((await watch.next()).virtualMachine?.project).toBe(project);
  },
);

test("what another project shares says its own project", async () => {
  await using world = await newWorld({ nodeCount: 0 });
  const acme = await inProject(world, "acme");
  const lan = { name: "lan", ipv4Cidr: "10.0.0.0/24" };
  await acme.networks.applyNetwork(lan);
  await acme.networks.setNetworkVisibility({ name: "lan", visibility: Visibility.PUBLIC });
  await world.networks.applyNetwork(lan);
  expect((await world.networks.getNetwork({ name: "acme/lan" })).project).toBe("acme");
  const { networks } = await world.networks.listNetworks({ withShared: true });
  expect(networks.map(({ project }) => project)).toEqual(["default", "acme"]);
});

test("a user says his domain", async () => {
  await using world = await newWorld({ nodeCount: 0 });
  await inProject(world, "paris", "corp");
  expect((await world.users.createUser({ name: "ann" })).domain).toBe("default");
  const corp = withHeaders(world, { "n0-project": "paris" });
  expect((await corp.users.createUser({ name: "ann" })).domain).toBe("corp");
  const [ann, ...others] = (await corp.users.listUsers({})).users;
  expect([ann?.domain, others]).toEqual(["corp", []]);
});

test("a repeated request is answered the same, and no record holds the project", async () => {
  await using world = await newWorld({ nodeCount: 0 });
  const acme = withHeaders(await inProject(world, "acme"), {
    "n0-project": "acme",
    "idempotency-key": "one",
  });
  const made = await acme.networks.applyNetwork({ name: "net", ipv4Cidr: "10.0.0.0/24" });
  expect(await acme.networks.applyNetwork({ name: "net", ipv4Cidr: "10.0.0.0/24" })).toEqual(made);
  const { records } = await world.residue();
  expect(records["network/acme/net"]).toContain("10.0.0.0/24");
  expect(records["network/acme/net"]).not.toContain("acme");
});
