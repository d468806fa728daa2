import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { reader } from "../../../../test/collect.ts";
import { inProject } from "../../../../test/projects.ts";
import { fc } from "../../../../test/properties.ts";
import { refused } from "../../../../test/refused.ts";
import { newWorld, type World } from "../../../../test/world.ts";
import { put } from "../../../datastore/collection.ts";
import { UserSchema } from "../../../gen/n0stack/iam/v0/user_pb.ts";
import { Visibility } from "../../../gen/n0stack/iam/v1alpha1/visibility_pb.ts";
import { users as userRecords } from "../../iam/user/collection.ts";

async function users(world: World, names: readonly string[]): Promise<void> {
  for (const name of names) {
    await world.users.createUser({ name, labels: { first: name[0]!, all: "yes" } });
  }
}

async function pages(world: World, request: { pageSize: number; namePrefix?: string }) {
  const found: string[][] = [];
  let pageToken = "";
  do {
    const page = await world.users.listUsers({ ...request, pageToken });
    found.push(page.users.map(({ name }) => name));
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  return found;
}

const NAMES = ["a", "a-1", "a.b", "a_1", "ab", "b", "b1", "constructor"];

test("a list is in the order of names, whole or page by page", async () => {
  await using world = await newWorld({ nodeCount: 0 });
  await users(world, NAMES.toReversed());
  const [whole] = await pages(world, { pageSize: 0 });
  expect(whole).toEqual(NAMES);
  expect(await pages(world, { pageSize: 3 })).toEqual([
    ["a", "a-1", "a.b"],
    ["a_1", "ab", "b"],
    ["b1", "constructor"],
  ]);
  expect(await pages(world, { pageSize: 4 })).toEqual([NAMES.slice(0, 4), NAMES.slice(4)]);
  expect(await pages(world, { pageSize: 8 })).toEqual([NAMES]);
  expect(await pages(world, { pageSize: 10_000 })).toEqual([NAMES]);
});

test("the token of a page goes on also where what it ended with is gone", async () => {
  await using world = await newWorld({ nodeCount: 0 });
  await users(world, NAMES);
  const { nextPageToken: pageToken } = await world.users.listUsers({ pageSize: 3 });
  await world.users.deleteUser({ name: "a.b" });
  await users(world, ["0-new"]);
  const rest = await world.users.listUsers({ pageSize: 0, pageToken });
  expect(rest.users.map(({ name }) => name)).toEqual(NAMES.slice(3));
});

test("a list is narrowed by the beginning of names and by labels, and pages so as well", async () => {
  await using world = await newWorld({ nodeCount: 0 });
  await users(world, NAMES);
  const names = async (request: Parameters<World["users"]["listUsers"]>[0]) =>
    (await world.users.listUsers(request)).users.map(({ name }) => name);
  expect(await names({ namePrefix: "a-" })).toEqual(["a-1"]);
  expect(await names({ namePrefix: "a" })).toEqual(NAMES.slice(0, 5));
  expect(await names({ namePrefix: "a/../b" })).toEqual([]);
  expect(await names({ namePrefix: "%" })).toEqual([]);
  expect(await names({ labelSelector: { first: "b" } })).toEqual(["b", "b1"]);
  expect(await names({ labelSelector: { first: "b", all: "no" } })).toEqual([]);
  expect(await names({ labelSelector: { none: "" } })).toEqual([]);
  const selected = { labelSelector: { first: "a" }, pageSize: 2 };
  const first = await world.users.listUsers(selected);
  expect(first.users.map(({ name }) => name)).toEqual(["a", "a-1"]);
  const second = await world.users.listUsers({ ...selected, pageToken: first.nextPageToken });
  expect(second.users.map(({ name }) => name)).toEqual(["a.b", "a_1"]);
  const third = await world.users.listUsers({ ...selected, pageToken: second.nextPageToken });
  expect(third).toMatchObject({ users: [{ name: "ab" }], nextPageToken: "" });
  expect(await pages(world, { pageSize: 2, namePrefix: "b" })).toEqual([["b", "b1"]]);
});

test.for([
  ["page_token", { pageToken: "no token" }],
  ["page_token", { pageToken: "=" }],
  ["page_size", { pageSize: 10_001 }],
] as const)("a wrong %s is refused: %j", async ([field, request]) => {
  await using world = await newWorld({ nodeCount: 0 });
  expect(await refused(world.users.listUsers(request))).toMatchObject({
    code: "InvalidArgument",
    field,
  });
});

test("the token of a page of one project, or of one kind, is refused in the list of another", async () => {
  await using world = await newWorld({ nodeCount: 0 });
  const acme = await inProject(world, "acme");
  for (const [i, name] of ["a", "b", "c"].entries()) {
    const ipv4Cidr = `10.0.${i}.0/24`;
    await acme.networks.applyNetwork({ name, ipv4Cidr });
    await acme.networks.setNetworkVisibility({ name, visibility: Visibility.PUBLIC });
    await world.networks.applyNetwork({ name, ipv4Cidr });
    await world.images.applyImage({ name });
  }
  const { nextPageToken: own } = await acme.networks.listNetworks({ pageSize: 1 });
  const shared = await world.networks.listNetworks({ pageSize: 4, withShared: true });
  const next = { pageSize: 4, withShared: true, pageToken: shared.nextPageToken };
  expect((await world.networks.listNetworks(next)).networks).toHaveLength(2);
  for (const [pageToken, call] of [
    [own, (request: object) => world.networks.listNetworks(request)],
    [own, (request: object) => world.images.listImages(request)],
    [shared.nextPageToken, (request: object) => acme.networks.listNetworks(request)],
  ] as const) {
    expect(await refused(call({ pageToken, withShared: true }))).toMatchObject({
      code: "InvalidArgument",
      field: "page_token",
    });
  }
});

test("what is in another scope is in no list, not found, and not watched", async () => {
  await using world = await newWorld({ nodeCount: 0 });
  await users(world, ["ann"]);
  const end = new AbortController();
  const watch = reader(world.users.watchUsers({}, { signal: end.signal }));
  await watch.find(({ synced }) => synced);
  const elsewhere = { kind: "user", scope: "acme", name: "eve" };
  const eve = create(UserSchema, { name: "eve" });
  await world.opened.api.datastore.batch(put(userRecords, [elsewhere], eve));
  expect(await pages(world, { pageSize: 1 })).toEqual([["ann"]]);
  expect(await refused(world.users.getUser({ name: "eve" }))).toMatchObject({ code: "NotFound" });
  await users(world, ["bob", "eve"]);
  expect((await watch.next()).user?.name).toBe("bob");
  expect((await watch.next()).user?.labels).toEqual({ first: "e", all: "yes" });
  await world.users.deleteUser({ name: "eve" });
  expect(await world.opened.api.records.find(userRecords, elsewhere)).toMatchObject({
    value: { ...eve, domain: "acme" },
  });
  end.abort();
});

test("pages of any size, filtered in any way, are the whole list cut into pieces", async () => {
  await using world = await newWorld({ nodeCount: 0 });
  await users(world, NAMES);
  const cases = fc.record({
    pageSize: fc.integer({ min: 1, max: 9 }),
    namePrefix: fc.constantFrom("", "a", "b", "zz"),
  });
  await fc.assert(
    fc.asyncProperty(cases, async (request) => {
      const found = await pages(world, request);
      expect(found.flat()).toEqual(NAMES.filter((name) => name.startsWith(request.namePrefix)));
      expect(found.slice(0, -1).every((page) => page.length === request.pageSize)).toBe(true);
    }),
    { numRuns: 40 },
  );
});
