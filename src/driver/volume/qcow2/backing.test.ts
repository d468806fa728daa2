import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { sparseQcow2 } from "../image/blank-qcow2.ts";
import type { VolumeDriver } from "../volume-driver.ts";
import { writeSparse } from "./files.ts";
import { openQcow2VolumeDriver } from "./qcow2-volume-driver.ts";

const MIB = 1024n ** 2n;
const mark = { owner: "block_storage/a", transactionId: "tx" };
const signal = new AbortController().signal;

let directory: string;
let driver: VolumeDriver;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "n0-backing-"));
  driver = await openQcow2VolumeDriver({ directory });
  await driver.ensureEmpty("a", MIB, mark, signal);
  await driver.ensureOverlay("b", "a", MIB, mark, signal);
});
afterEach(() => rm(directory, { recursive: true }));

/** As QEMU's user can, while a virtual machine has the volume. */
async function rewrite(id: string, backingFile?: string): Promise<void> {
  await rm(driver.path(id));
  await writeSparse(driver.path(id), sparseQcow2(MIB, backingFile));
}

const USES: Readonly<Record<string, (id: string) => Promise<unknown>>> = {
  "to be opened by a virtual machine": (id) => driver.backing(id, signal),
  "to be read": (id) => driver.read(id, { offset: 0n }, signal),
  "to be copied": (id) => driver.ensureCopy("new", id, MIB, mark, { signal }),
  "as a base": (id) => driver.ensureOverlay("new", id, MIB, mark, signal),
  "to grow": (id) => driver.ensureSize(id, 2n * MIB, signal),
  "to shrink back": (id) => driver.undoGrowth(id, { fromBytes: MIB / 2n, toBytes: MIB }, signal),
};

describe.each(Object.entries(USES))("a volume is refused %s", (_what, use) => {
  test.each(["/etc/shadow", 'json:{"file.filename":"/etc/shadow"}', "b.qcow2"])(
    "where the head of its base names %s",
    async (backingFile) => {
      await rewrite("a", backingFile);
      await expect(use("b")).rejects.toMatchObject({
        kind: "failed_precondition",
        message: expect.stringMatching(/^the file of volume "a" names another base/),
      });
    },
  );
});

test("an overlay whose head has lost its base is refused: it would read as zeros", async () => {
  await rewrite("b");
  await expect(driver.backing("b", signal)).rejects.toThrow("names another base");
});

test("without a base, a sidecar or a qcow2 there is nothing to open, and the error says which", async () => {
  await writeFile(join(directory, "b.json"), "{");
  await expect(driver.backing("b", signal)).rejects.toThrow("let verify repair it");
  await writeFile(driver.path("b"), "no qcow2");
  await expect(driver.backing("b", signal)).rejects.toThrow('volume "b" is damaged');
  await driver.ensureOverlay("c", "a", MIB, mark, signal);
  await rm(driver.path("a"));
  await expect(driver.backing("c", signal)).rejects.toThrow('volume "a" is not on this node');
});
