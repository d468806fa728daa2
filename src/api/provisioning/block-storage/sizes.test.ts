import { expect, test } from "vitest";
import { refused } from "../../../../test/refused.ts";
import { GiB, prepareImage } from "../../../../test/scenario.ts";
import { newWorld } from "../../../../test/world.ts";
import { checkSizes } from "./sizes.ts";

test.each([
  [0, 1n, 1024n * GiB, undefined],
  [1, 10n, 10n, undefined],
  [1, 9n, 10n, 10n],
  [0.25, 1n, 4n, undefined],
  // The least is rounded up, also where the bytes are more than a number holds.
  [0.25, 1n, 5n, 2n],
  [0.1, 899_999_999_999_999_999n, 9_000_000_000_000_000_000n, 900_000_000_000_000_000n],
  [0.1, 900_000_000_000_000_000n, 9_000_000_000_000_000_000n, undefined],
])("at least %d of the limit: %d of %d", (ratio, requestBytes, limitBytes, leastBytes) => {
  const check = () => checkSizes({ requestBytes, limitBytes }, ratio);
  if (leastBytes === undefined) return check();
  expect(check).toThrow(
    expect.objectContaining({
      kind: "invalid_argument",
      message: `request_bytes: must be at least ${leastBytes}, which is ${ratio} of limit_bytes (the API's setting storage-request-ratio-min)`,
    }),
  );
});

test("a disk that requests too little of its limit is refused, however it is asked for", async () => {
  await using world = await newWorld({ storageRequestRatioMin: 0.5, inMemory: true });
  await prepareImage(world);
  const { blockStorages, images } = world;
  const small = { name: "x", requestBytes: 1n, limitBytes: 4n * GiB };
  const { name: _, ...sizes } = small;
  const before = await world.residue();
  for (const asked of [
    () => blockStorages.createBlockStorage(small),
    () => blockStorages.copyBlockStorage({ ...small, sourceBlockStorage: "base" }),
    () => blockStorages.fetchBlockStorage({ ...small, sourceUrl: "http://images.test/x" }),
    () =>
      images.generateBlockStorage({
        imageName: "debian",
        tag: "12",
        blockStorageName: "x",
        ...sizes,
      }),
  ]) {
    expect(await refused(asked())).toMatchObject({
      code: "InvalidArgument",
      message: expect.stringContaining(`request_bytes: must be at least ${2n * GiB}`),
    });
  }
  expect(await world.residue()).toEqual(before);

  await blockStorages.createBlockStorage({ ...small, requestBytes: 2n * GiB });
  const grow = { name: "x", limitBytes: 8n * GiB, updateMask: { paths: ["limit_bytes"] } };
  expect((await refused(blockStorages.updateBlockStorage(grow))).message).toContain("ratio-min");
  const label = { name: "x", labels: { a: "b" }, updateMask: { paths: ["labels"] } };
  await blockStorages.updateBlockStorage(label);
});
