// Two API processes of which one learns late what the other has written: only conditions keep them from granting
// too much.
import { create } from "@bufbuild/protobuf";
import { expect, test as it, onTestFinished } from "vitest";
import { put, remove } from "../../../datastore/collection.ts";
import type { Datastore } from "../../../datastore/datastore.ts";
import { memoryDatastore } from "../../../datastore/memory/memory-datastore.ts";
import { QuotaSchema } from "../../../gen/n0stack/budget/v1alpha1/quota_pb.ts";
import { ImageSchema } from "../../../gen/n0stack/deployment/v0/image_pb.ts";
import { systemClock } from "../../../util/clock.ts";
import { systemRandom } from "../../../util/random.ts";
import { images } from "../../deployment/image/collection.ts";
import { quotaRef, quotas } from "./collection.ts";
import { countObjects } from "./counting.ts";
import { Quotas } from "./quotas.ts";

/** A datastore that delivers nothing to its watchers while it is `paused`. */
function pausable(of: Datastore) {
  let waiting: (() => void)[] = [];
  let released = Promise.withResolvers<void>();
  released.resolve();
  let isPaused = false;
  const datastore: Datastore = {
    ...of,
    watch: (prefix, from, listener) =>
      of.watch(prefix, from, (changes, revision) => {
        if (isPaused) waiting.push(() => listener(changes, revision));
        else listener(changes, revision);
      }),
    seen: async (revision) => {
      await of.seen(revision);
      await released.promise;
    },
  };
  return {
    datastore,
    pause() {
      isPaused = true;
      released = Promise.withResolvers();
    },
    release() {
      isPaused = false;
      for (const deliver of waiting) deliver();
      waiting = [];
      released.resolve();
    },
  };
}

const imageRef = (name: string) => ({ kind: "image", scope: "default", name });
const image = (name: string) => put(images, [imageRef(name)], create(ImageSchema, { name }));
const NO_QUOTA_LEFT = { kind: "resource_exhausted" };

async function setUp() {
  const shared = memoryDatastore();
  const open = async (datastore: Datastore) => {
    const opened = await Quotas.open({
      datastore,
      countings: [countObjects(images, { images: 1n })],
      domainOf: () => "default",
      clock: systemClock,
      random: systemRandom,
    });
    onTestFinished(() => opened[Symbol.dispose]());
    return opened;
  };
  const late = pausable(shared);
  const limit = (value: bigint) => {
    const quota = create(QuotaSchema, { name: "project/default", limits: { images: value } });
    return shared.batch(put(quotas, [quotaRef(quota.name)], quota));
  };
  return { shared, late, limit, slow: await open(late.datastore), other: await open(shared) };
}

it("who has lost its turn without knowing grants nothing by its old count", async () => {
  const { late, limit, slow, other } = await setUp();
  await limit(2n);
  await slow.batch(image("one"));
  late.pause();
  await other.batch(image("two"));
  expect(slow.used("project/default").images).toBe(1n);
  const granting = slow.batch(image("three"));
  const refusal = expect(granting).rejects.toMatchObject(NO_QUOTA_LEFT);
  await other.batch(image("two"));
  late.release();
  await refusal;
  expect(other.used("project/default").images).toBe(2n);
});

it("who does not know that a quota was set is not beyond it", async () => {
  const { late, limit, slow, other } = await setUp();
  late.pause();
  await limit(1n);
  await other.batch(image("one"));
  const refusal = expect(slow.batch(image("two"))).rejects.toMatchObject(NO_QUOTA_LEFT);
  late.release();
  await refusal;
});

it("who does not know that a quota was removed is bounded by none", async () => {
  const { shared, late, limit, slow, other } = await setUp();
  await limit(2n);
  await slow.batch(image("one"));
  late.pause();
  await shared.batch(remove(quotas, quotaRef("project/default")));
  await other.batch(image("two"));
  const granting = slow.batch(image("three"));
  late.release();
  await granting;
  expect(slow.used("project/default").images).toBe(3n);
});

it("what was asked for and not written does not count", async () => {
  const { limit, slow } = await setUp();
  await limit(1n);
  const conflict = { conditions: [{ key: images.key(imageRef("other")), revision: 7 }] };
  await expect(slow.batch({ ...image("one"), ...conflict })).rejects.toThrow(/has changed/);
  expect(slow.used("project/default").images).toBe(0n);
  await slow.batch(image("one"));
});

it("two processes that take the turn from each other both go on", async () => {
  const { limit, slow, other } = await setUp();
  await limit(1_000n);
  const made = Array.from({ length: 200 }, (_, i) =>
    (i % 2 === 0 ? slow : other).batch(image(`i${i}`)),
  );
  await Promise.all(made);
  expect(slow.used("project/default").images).toBe(200n);
});
