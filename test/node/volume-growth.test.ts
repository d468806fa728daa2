import { expect, test } from "vitest";
import { requirement } from "./requirements.ts";
import { MIB, mark, newVolumeWorld, run, signal } from "./volume-world.ts";

test.runIf(requirement("qemu-img"))(
  "a growth is not taken back where somebody has written to the new part",
  async () => {
    await using world = await newVolumeWorld();
    const { driver } = world;
    await driver.ensureEmpty("a", 8n * MIB, mark, signal());
    await driver.ensureSize("a", 32n * MIB, signal());
    await run("qemu-io", "-f", "qcow2", "-c", "write -P 1 20M 64k", driver.path("a"));
    const refusal = { kind: "failed_precondition", message: expect.stringContaining("holds data") };
    const growth = { fromBytes: 8n * MIB, toBytes: 32n * MIB };
    await expect(driver.undoGrowth("a", growth, signal())).rejects.toMatchObject(refusal);
    await expect(driver.checkUnusedFrom("a", 8n * MIB, signal())).rejects.toMatchObject(refusal);
    await driver.checkUnusedFrom("a", 21n * MIB, signal());
    expect(await driver.find("a", signal())).toMatchObject({ virtualSizeBytes: 32n * MIB });
  },
);

test.runIf(requirement("qemu-img"))(
  "a growth from the middle of a cluster is taken back, whatever its first half holds",
  async () => {
    await using world = await newVolumeWorld();
    const { driver } = world;
    const growth = { fromBytes: 8n * MIB + 512n, toBytes: 32n * MIB };
    const write = (id: string, at: bigint) =>
      run("qemu-io", "-f", "qcow2", "-c", `write -P 1 ${at} 512`, driver.path(id));
    for (const id of ["a", "b"]) {
      await driver.ensureEmpty(id, growth.fromBytes, mark, signal());
      // As a GPT has its copy in the last sectors.
      await write(id, growth.fromBytes - 512n);
      await driver.ensureSize(id, growth.toBytes, signal());
    }
    await driver.undoGrowth("a", growth, signal());
    expect(await driver.find("a", signal())).toMatchObject({ virtualSizeBytes: growth.fromBytes });
    await write("b", growth.fromBytes + 512n);
    await expect(driver.undoGrowth("b", growth, signal())).rejects.toMatchObject({
      kind: "failed_precondition",
    });
  },
);

test.runIf(requirement("qemu-img"))(
  "a file that cannot grow so far says why in the last words of qemu-img, and stays as it was",
  async () => {
    await using world = await newVolumeWorld();
    const { driver } = world;
    await driver.ensureEmpty("a", 8n * MIB, mark, signal());
    // As a node may have it from before every image was made ours.
    await run(
      "qemu-img",
      "create",
      "-q",
      "-f",
      "qcow2",
      "-o",
      "cluster_size=512",
      driver.path("a"),
      "8M",
    );
    await expect(driver.ensureSize("a", 200n * 1024n * MIB, signal())).rejects.toMatchObject({
      kind: "failed_precondition",
      message: expect.stringMatching(/^qemu-img cannot do it: [^/]*L1 table[^/]*$/),
    });
    expect(await driver.find("a", signal())).toMatchObject({ virtualSizeBytes: 8n * MIB });
  },
);
