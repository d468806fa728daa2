import { expect, test } from "vitest";
import { GiB, prepareDisk, prepareImage, webRequest } from "../../test/scenario.ts";
import { newWorld } from "../../test/world.ts";
import {
  changesCollection,
  stepCollection,
  transactionCollection,
} from "../datastore/datastore-journal.ts";
import { referenceGuards, references } from "../datastore/references.ts";
import { sessionCollection } from "../datastore/sessions.ts";
import { keptRequests } from "./core/idempotency/kept-request.ts";
import { isContent } from "./iam/project/contents.ts";
import { resources } from "./resources.ts";
import { layout } from "./scope-migration.ts";

const OF_RESOURCES = resources.flatMap(({ collection, records, traces }) => [
  collection,
  ...records,
  ...traces,
]);

const OF_THE_ENGINE = [
  sessionCollection,
  transactionCollection,
  stepCollection,
  changesCollection,
  keptRequests,
  references,
  referenceGuards,
  layout,
];

test("every record is of the engine or of exactly one resource", async () => {
  await using world = await newWorld({ inMemory: true });
  await prepareDisk(world);
  await prepareImage(world);
  await world.users.createUser({ name: "me" }, { headers: { "idempotency-key": "one" } });
  await world.images.generateBlockStorage({
    imageName: "debian",
    tag: "12",
    blockStorageName: "over",
    requestBytes: GiB,
    limitBytes: 10n * GiB,
  });
  await world.virtualMachines.createVirtualMachine(webRequest());
  const known = [...OF_THE_ENGINE, ...OF_RESOURCES].map(({ prefix }) => prefix);
  const entries = await world.opened.api.datastore.list("");
  const seen = new Set(entries.map(({ key }) => key.slice(0, key.indexOf("/") + 1)));
  expect([...seen].filter((prefix) => !known.includes(prefix))).toEqual([]);
  expect(known.length).toBe(new Set(known).size);
  expect(seen.size).toBeGreaterThan(10);
});

test("what gives room back is said by the RPCs that do", () => {
  const said = resources.flatMap(({ givesRoom }) => givesRoom);
  const all = resources.flatMap(({ service }) => service.methods.map(({ name }) => name));
  const gives = /^(Delete|Purge|Release|Shutdown|Unregister|Untag)/;
  expect(said.toSorted()).toEqual(all.filter((name) => gives.test(name)).toSorted());
});

test("every kind whose objects are in projects says how they are deleted with one", () => {
  const inProjects = resources.filter(({ kind }) => isContent(kind));
  expect(inProjects.length).toBeGreaterThan(4);
  expect(inProjects.filter((one) => one.withProject === undefined)).toEqual([]);
});
