import { expect, test } from "vitest";
import { inProject } from "../../../../test/projects.ts";
import { refused } from "../../../../test/refused.ts";
import { GiB, webRequest } from "../../../../test/scenario.ts";
import { findingsIn } from "../../../../test/verify-world.ts";
import { newWorld, type World } from "../../../../test/world.ts";
import { Visibility } from "../../../gen/n0stack/iam/v1alpha1/visibility_pb.ts";
import type { Network } from "../../../gen/n0stack/pool/v0/network_pb.ts";

const lan = {
  name: "lan",
  ipv4Cidr: "10.0.0.0/29",
  domain: "lan.example",
  labels: { tier: "one" },
};
const shareWith = (...visibleTo: string[]) => {
  return { name: "lan", visibility: Visibility.PROJECTS, visibleTo };
};

/** A machine in that project on the network of the project `default`. */
async function createWeb({ blockStorages, virtualMachines }: World, networkName = "default/lan") {
  const size = { requestBytes: GiB, limitBytes: GiB };
  await blockStorages.createBlockStorage({ name: "root", ...size });
  return await virtualMachines.createVirtualMachine({
    ...webRequest(),
    nics: [{ networkName }],
  });
}

const keysOf = ({ reservedNetworkInterfaces }: Network) =>
  Object.keys(reservedNetworkInterfaces).toSorted();

test("another project sees a network only where it is shared with that project", async () => {
  await using world = await newWorld({ nodeCount: 0 });
  const acme = await inProject(world, "acme");
  await world.networks.applyNetwork({ ...lan, annotations: { secret: "x" } });
  const get = () => acme.networks.getNetwork({ name: "default/lan" });
  const listed = async () =>
    (await acme.networks.listNetworks({ withShared: true })).networks.map(({ name }) => name);
  const hidden = await refused(get());
  const missing = await refused(acme.networks.getNetwork({ name: "default/lanx" }));
  expect(hidden).toMatchObject({ code: "NotFound" });
  expect(hidden.message).toBe(missing.message.replace("lanx", "lan"));
  expect(await listed()).toEqual([]);

  const shared = await world.networks.setNetworkVisibility(shareWith("other", "acme"));
  expect(shared).toMatchObject({ ...lan, ...shareWith("other", "acme") });
  expect(await get()).toMatchObject({ ...lan, annotations: {}, visibleTo: [] });
  expect(await listed()).toEqual(["lan"]);
  expect((await acme.networks.listNetworks({})).networks).toEqual([]);
  // The owner may also write its project, and what is applied again stays shared.
  await world.networks.applyNetwork(lan);
  expect((await world.networks.getNetwork({ name: "default/lan" })).visibleTo).toEqual([
    "other",
    "acme",
  ]);
  await world.networks.setNetworkVisibility(shareWith("other"));
  expect(await refused(get())).toEqual(hidden);
  await world.networks.setNetworkVisibility({ name: "lan", visibility: Visibility.PUBLIC });
  expect(await listed()).toEqual(["lan"]);
  await world.networks.setNetworkVisibility({ name: "lan", visibility: Visibility.PRIVATE });
  expect(await listed()).toEqual([]);
});

test("only its own project changes a network, whoever sees it", async () => {
  await using world = await newWorld({ nodeCount: 0 });
  const acme = await inProject(world, "acme");
  await world.networks.applyNetwork(lan);
  await world.networks.setNetworkVisibility(shareWith("acme"));
  const before = await world.residue();
  const { networks } = acme;
  const nic = { networkName: "default/lan", networkInterfaceName: "i" };
  for (const [call, code] of [
    [
      () => networks.setNetworkVisibility({ ...shareWith("acme"), name: "default/lan" }),
      "InvalidArgument",
    ],
    [() => networks.setNetworkVisibility(shareWith("acme")), "NotFound"],
    [() => networks.deleteNetwork({ name: "default/lan" }), "InvalidArgument"],
    [() => networks.deleteNetwork({ name: "lan" }), "NotFound"],
    [() => networks.applyNetwork({ ...lan, name: "default/lan" }), "InvalidArgument"],
    [() => networks.reserveNetworkInterface(nic), "InvalidArgument"],
    [() => networks.releaseNetworkInterface(nic), "InvalidArgument"],
  ] as const) {
    expect((await refused(call())).code).toBe(code);
  }
  expect(await world.residue()).toEqual(before);
});

test("a visibility names projects exactly if it is for named ones", async () => {
  await using world = await newWorld({ nodeCount: 0 });
  await world.networks.applyNetwork(lan);
  for (const [request, field] of [
    [{ name: "lan", visibility: Visibility.PROJECTS }, "visible_to"],
    [{ ...shareWith("acme"), visibility: Visibility.PUBLIC }, "visible_to"],
    [{ ...shareWith("acme"), visibility: Visibility.UNSPECIFIED }, "visibility"],
    [shareWith("a.b"), "visible_to[0]"],
  ] as const) {
    const call = world.networks.setNetworkVisibility(request);
    expect(await refused(call)).toMatchObject({ code: "InvalidArgument", field });
  }
});

test("machines of one name in two projects are on one network, which neither sees of the other", async () => {
  await using world = await newWorld();
  const acme = await inProject(world, "acme");
  const other = await inProject(world, "other");
  await world.networks.applyNetwork(lan);
  await world.networks.setNetworkVisibility({ name: "lan", visibility: Visibility.PUBLIC });
  const before = await world.residue();
  const own = await createWeb(world, "lan");
  const theirs = await createWeb(acme);
  await createWeb(other);
  expect(own).toMatchObject({ networkInterfaceNames: ["web0"], nics: [{ networkName: "lan" }] });
  expect(theirs).toMatchObject({
    networkInterfaceNames: ["acme~web0"],
    nics: [{ networkName: "default/lan" }],
  });
  const address = theirs.nics[0]?.ipv4Address ?? "";
  const elsewhere = await acme.networks.getNetwork({ name: "default/lan" });
  expect(keysOf(elsewhere)).toEqual(["acme~web0", "default-gateway"]);
  const seen = await world.networks.getNetwork({ name: "lan" });
  expect(keysOf(seen)).toHaveLength(4);
  expect(keysOf(seen)).toContain(`~${address}`);
  const text = JSON.stringify(seen, (_, value) =>
    typeof value === "bigint" ? String(value) : value,
  );
  expect(text).not.toMatch(/acme|other/);
  expect(await findingsIn(world)).toEqual([]);

  for (const { virtualMachines, blockStorages } of [world, acme, other]) {
    await virtualMachines.shutdownVirtualMachine({ name: "web", hard: true });
    await virtualMachines.bootVirtualMachine({ name: "web" });
    await virtualMachines.deleteVirtualMachine({ name: "web" });
    await blockStorages.deleteBlockStorage({ name: "root" });
    await blockStorages.purgeBlockStorage({ name: "root" });
  }
  // What conditions rest on stays: it is of the network.
  const after = await world.residue();
  const drop = (records: object) => Object.keys(records).filter((key) => !/alloc/.test(key));
  expect(drop(after.records)).toEqual(drop(before.records));
  expect(after.nodes).toEqual(before.nodes);
});

test("the own project is the same with its name before", async () => {
  await using world = await newWorld();
  await world.networks.applyNetwork(lan);
  const made = await createWeb(world, "default/lan");
  expect(made).toMatchObject({ networkInterfaceNames: ["web0"], nics: [{ networkName: "lan" }] });
});

test("a network is neither deleted nor hidden under its users, and says nothing of them", async () => {
  await using world = await newWorld();
  const acme = await inProject(world, "acme");
  await world.networks.applyNetwork(lan);
  await world.networks.setNetworkVisibility(shareWith("acme", "other"));
  await createWeb(acme);
  const before = await world.residue();
  const message =
    'network "lan" is used by other projects: 1 project must delete what uses it first';
  for (const call of [
    () => world.networks.deleteNetwork({ name: "lan" }),
    () => world.networks.setNetworkVisibility({ name: "lan", visibility: Visibility.PRIVATE }),
    () => world.networks.setNetworkVisibility(shareWith("other")),
  ]) {
    expect(await refused(call())).toMatchObject({ code: "FailedPrecondition", message });
  }
  const changed = { ...lan, ipv4Cidr: "10.0.0.0/28" };
  const { message: why } = await refused(world.networks.applyNetwork(changed));
  expect(why).toContain("a virtual machine of another project has 10.0.0.");
  expect(why).not.toMatch(/acme|web/);
  expect(await world.residue()).toEqual(before);
  await world.networks.setNetworkVisibility(shareWith("acme"));
  await acme.virtualMachines.deleteVirtualMachine({ name: "web" });
  await world.networks.deleteNetwork({ name: "lan" });
});

test("who joins a network while it is being hidden is refused, or it is not hidden", async () => {
  await using world = await newWorld();
  const acme = await inProject(world, "acme");
  const hide = () =>
    world.networks.setNetworkVisibility({ name: "lan", visibility: Visibility.PRIVATE });
  await world.networks.applyNetwork(lan);
  await world.networks.setNetworkVisibility(shareWith("acme"));
  const request = { ...webRequest("web", []), nics: [{ networkName: "default/lan" }] };
  const create = () => acme.virtualMachines.createVirtualMachine(request);
  // Between the look at the network and the record of the machine, which refers to it.
  let hidden = 0;
  world.faults = async ({ step, point }) => {
    if (step !== "virtual_machine.put_record" || point !== "before_journal" || hidden > 0) return;
    hidden += 1;
    await hide();
  };
  expect((await refused(create())).code).toBe("Aborted");
  expect(hidden).toBe(1);
  expect((await refused(create())).code).toBe("NotFound");
  await world.networks.setNetworkVisibility(shareWith("acme"));
  // Between the look at who uses the network and the commit that hides it.
  world.faults = async ({ kind, point }) => {
    if (kind === "SetNetworkVisibility" && point === "before_commit") await create();
  };
  expect((await refused(hide())).code).toBe("Aborted");
  world.faults = () => {};
  expect(await acme.networks.getNetwork({ name: "default/lan" })).toMatchObject({ name: "lan" });
  expect(await findingsIn(world)).toEqual([]);
});

test("an address that another project has is taken, by nobody in particular", async () => {
  await using world = await newWorld();
  const acme = await inProject(world, "acme");
  await world.networks.applyNetwork(lan);
  await world.networks.setNetworkVisibility(shareWith("acme"));
  const { ipv4Address = "", hardwareAddress = "" } = (await createWeb(world, "lan")).nics[0] ?? {};
  const ask = async (nic: object) => {
    const nics = [{ networkName: "default/lan", ...nic }];
    const request = { ...webRequest("eve", []), nics };
    return (await refused(acme.virtualMachines.createVirtualMachine(request))).message;
  };
  expect(await ask({ ipv4Address })).toBe(
    `network "default/lan": address ${ipv4Address} is taken: use another one, or leave it empty`,
  );
  expect(await ask({ hardwareAddress })).toContain(`${hardwareAddress} is taken: use`);
  expect(await ask({ ipv4Address: "10.1.0.1" })).toContain('network "default/lan"');
  const { message } = await refused(
    acme.virtualMachines.createVirtualMachine({
      ...webRequest("eve", []),
      nics: [{ networkName: "default/none" }],
    }),
  );
  expect(message).toBe('network "default/none" does not exist');
});

test("a list goes on from the own networks to the shared ones, page by page", async () => {
  await using world = await newWorld({ nodeCount: 0 });
  const acme = await inProject(world, "acme");
  const other = await inProject(world, "other");
  const apply = async (of: World, name: string, ipv4Cidr: string, isPublic: boolean) => {
    await of.networks.applyNetwork({ name, ipv4Cidr, labels: { in: name } });
    const visibility = isPublic ? Visibility.PUBLIC : Visibility.PRIVATE;
    await of.networks.setNetworkVisibility({ name, visibility });
  };
  for (const i of [0, 1, 2]) await apply(acme, `own-${i}`, `10.0.${i}.0/24`, false);
  for (const i of [0, 1, 2]) await apply(world, `lan-${i}`, `10.0.${i}.0/24`, i !== 1);
  for (const i of [0, 1]) await apply(other, `net-${i}`, `10.0.${i}.0/24`, true);
  const all = ["own-0", "own-1", "own-2", "lan-0", "lan-2", "net-0", "net-1"];
  for (const pageSize of [0, 1, 2, 3, 5, 7]) {
    const seen: string[] = [];
    let pageToken = "";
    do {
      const page = await acme.networks.listNetworks({ withShared: true, pageSize, pageToken });
      seen.push(...page.networks.map(({ name }) => name));
      if (pageSize > 0) expect(page.networks.length).toBeLessThanOrEqual(pageSize);
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    expect(seen).toEqual(all);
  }
  const named = await acme.networks.listNetworks({ withShared: true, namePrefix: "net-" });
  expect(named.networks.map(({ name }) => name)).toEqual(["net-0", "net-1"]);
  const labelled = { withShared: true, labelSelector: { in: "lan-2" } };
  expect((await acme.networks.listNetworks(labelled)).networks).toHaveLength(1);
  for (const text of ["..", "network", "a/b/c", "a/%"]) {
    const pageToken = `shared.${Buffer.from(text).toString("base64url")}`;
    const call = acme.networks.listNetworks({ withShared: true, pageToken });
    expect(await refused(call)).toMatchObject({ code: "InvalidArgument" });
  }
});
