import { expect, test } from "vitest";
import { inProject } from "../../../test/projects.ts";
import { refused } from "../../../test/refused.ts";
import { newWorld, withHeaders } from "../../../test/world.ts";
import { PROJECT_HEADER } from "../../util/project.ts";

test("a call works in its project alone", async () => {
  await using world = await newWorld({ nodeCount: 0 });
  const acme = await inProject(world, "acme");
  const before = await world.residue();
  const applied = { name: "net", ipv4Cidr: "10.0.0.0/24" };
  await acme.networks.applyNetwork({ ...applied, labels: { of: "acme" } });
  expect((await world.networks.listNetworks({})).networks).toEqual([]);
  expect((await refused(world.networks.getNetwork({ name: "net" }))).code).toBe("NotFound");
  expect((await refused(world.networks.deleteNetwork({ name: "net" }))).code).toBe("NotFound");
  // The ranges of addresses of two projects may overlap.
  await world.networks.applyNetwork({ ...applied, labels: { of: "default" } });
  const [network] = (await acme.networks.listNetworks({})).networks;
  expect(network?.labels).toEqual({ of: "acme" });
  await world.networks.deleteNetwork({ name: "net" });
  expect((await acme.networks.getNetwork({ name: "net" })).labels).toEqual({ of: "acme" });
  await acme.networks.deleteNetwork({ name: "net" });
  expect(await world.residue()).toEqual(before);
});

test("a header that names no project is refused, by its name", async () => {
  await using world = await newWorld({ nodeCount: 0 });
  const { networks } = withHeaders(world, { [PROJECT_HEADER]: "a.b" });
  for (const call of [
    () => networks.listNetworks({}),
    () => networks.applyNetwork({ name: "net", ipv4Cidr: "10.0.0.0/24" }),
  ]) {
    expect(await refused(call())).toMatchObject({ code: "InvalidArgument", field: "n0-project" });
  }
});
