import { createHash, randomBytes } from "node:crypto";
import { readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ifThere } from "../../src/util/errno.ts";
import { until } from "../../src/util/until.ts";
import { requirement } from "../node/requirements.ts";
import { type Clients, openClients } from "./clients.ts";
import { EXAMPLE_VM, example } from "./example.ts";
import { inGuest, untilSshAnswers } from "./guest.ts";
import { newPlace, type Place } from "./place.ts";
import { must } from "./program.ts";
import { type Cli, newCli, nodeFlags, type Server, startServer, untilReady } from "./server.ts";

const isPossible = requirement("root") && requirement("libvirt") && requirement("netns");
/** Both a virtual machine and its disk, which is an overlay on the image. */
const MIB = 1 << 20;
/** Long enough that n0cli can be killed in the middle of it. */
const DATA_BYTES = 200 * MIB;

describe.runIf(isPossible)("a disk that is downloaded", () => {
  const opened = new AsyncDisposableStack();
  let place: Place;
  let server: Server;
  let cli: Cli;
  let clients: Clients;

  const start = async () => {
    const flags = ["--name", "node-1", ...nodeFlags(place)];
    server = await startServer(place, { role: "standalone", flags });
    cli = newCli(server, place);
    clients = openClients(server);
    await untilReady(cli, 1);
  };
  const stop = async () => {
    clients[Symbol.dispose]();
    await server.stop();
  };

  beforeAll(async () => {
    place = opened.use(await newPlace());
    await start();
    opened.defer(stop);
  });
  afterAll(() => opened.disposeAsync());

  const here = (name: string) => join(place.baseDirectory, "test", name);
  const hashOf = async (path: string) =>
    createHash("sha256")
      .update(await readFile(path))
      .digest("hex");

  async function fetchData() {
    const raw = join(place.baseDirectory, "images", "data.raw");
    await writeFile(raw, Buffer.concat([Buffer.alloc(512), randomBytes(DATA_BYTES - 512)]));
    return await clients.disks.fetchBlockStorage({
      name: "data",
      sourceUrl: `file://${raw}`,
      requestBytes: BigInt(DATA_BYTES),
      limitBytes: BigInt(DATA_BYTES),
    });
  }

  const volumeOf = (id: string) => join(place.baseDirectory, "volumes", `${id}.qcow2`);

  /** Leaves a part and its note, as n0cli does that is killed. */
  async function killInTheMiddle(path: string): Promise<void> {
    // On a busy machine it may have ended before anybody looks.
    while (!(await isKilledInTheMiddle(path))) {
      for (const end of ["", ".part", ".part.json"]) await rm(path + end, { force: true });
    }
  }

  async function isKilledInTheMiddle(path: string): Promise<boolean> {
    const download = cli.start("bs", "download", "data", "-f", path);
    const sizeOfPart = async () => (await ifThere(stat(`${path}.part`)))?.size ?? 0;
    const isThere = async () => download.child.exitCode !== null || (await sizeOfPart()) > 70 * MIB;
    await until(isThere, {
      timeoutMs: 60_000,
      everyMs: 2,
      onTimeout: () => new Error(`too little is there: ${download.stderr()}`),
    });
    download.child.kill("SIGKILL");
    if ((await download.ended) > 0) throw new Error(download.stderr());
    const size = await sizeOfPart();
    return size > 0 && size < DATA_BYTES;
  }

  test("goes on where n0cli was killed, also after a restart of the server", async () => {
    const { volumeId } = await fetchData();
    await killInTheMiddle(here("data.qcow2"));
    await stop();
    await start();
    const note = JSON.parse(await readFile(here("data.qcow2.part.json"), "utf8"));
    expect(Number(note.kept_bytes)).toBeGreaterThanOrEqual(64 * MIB);
    const { code, stderr } = await cli.run(
      "bs",
      "download",
      "data",
      "-f",
      here("data.qcow2"),
      "--resume",
    );
    expect([code, stderr]).toEqual([0, `${here("data.qcow2")} is written\n`]);
    expect(await hashOf(here("data.qcow2"))).toBe(await hashOf(volumeOf(volumeId)));
    expect((await readdir(here("."))).filter((name) => name.includes("part"))).toEqual([]);
  });

  test("begins anew where another disk has its name by then", async () => {
    await killInTheMiddle(here("other.qcow2"));
    await cli.must("bs", "delete", "data");
    await cli.must("bs", "purge", "data");
    const { volumeId } = await fetchData();
    const { code, stderr } = await cli.run(
      "bs",
      "download",
      "data",
      "-f",
      here("other.qcow2"),
      "--resume",
    );
    expect(code).toBe(0);
    expect(stderr).toContain('---> Starting over: block storage "data" has changed');
    expect(await hashOf(here("other.qcow2"))).toBe(await hashOf(volumeOf(volumeId)));
  });

  test("is another one once its guest has written, and none while the guest runs", async () => {
    const { code, stderr } = await cli.do(await example("boot-vm", place.baseDirectory));
    expect(`${code}\n${stderr}`).toMatch(/^0\n/);
    await untilSshAnswers(cli, place, EXAMPLE_VM);
    const get = async (headers: Record<string, string> = {}) => {
      const link = (await cli.must("bs", "download", EXAMPLE_VM, "--url")).trim();
      const response = await fetch(link, { headers });
      const bytes = Buffer.from(await response.arrayBuffer());
      return { status: response.status, etag: response.headers.get("etag") ?? "", bytes };
    };
    const running = await cli.run("bs", "download", EXAMPLE_VM, "-f", here("root.qcow2"));
    expect(running).toMatchObject({
      code: 6,
      stderr: expect.stringContaining("shut it down first"),
    });

    await cli.must("vm", "shutdown", EXAMPLE_VM, "--hard");
    const before = await get();
    const again = await get({ range: "bytes=100000-", "if-range": before.etag });
    expect([again.status, again.etag]).toEqual([206, before.etag]);
    expect(again.bytes.equals(before.bytes.subarray(100_000))).toBe(true);

    await cli.must("vm", "boot", EXAMPLE_VM);
    await untilSshAnswers(cli, place, EXAMPLE_VM);
    await inGuest(cli, place, EXAMPLE_VM, "sudo sh -c 'echo written >/data/note; sync'");
    await cli.must("vm", "shutdown", EXAMPLE_VM, "--hard");
    const after = await get({ range: "bytes=100000-", "if-range": before.etag });
    expect([after.status, after.etag === before.etag]).toEqual([200, false]);
    expect((await get({ range: "bytes=100000-", "if-match": before.etag })).status).toBe(412);
    await writeFile(here("after.qcow2"), after.bytes);
    const { volumeId } = await clients.disks.getBlockStorage({ name: EXAMPLE_VM });
    await must("qemu-img", ["compare", here("after.qcow2"), volumeOf(volumeId)]);
  });

  test("leaves nothing on the node", async () => {
    expect((await cli.do(await example("delete-vm", place.baseDirectory))).code).toBe(0);
    await cli.must("bs", "delete", "data");
    await cli.must("bs", "purge", "data");
    expect(await readdir(join(place.baseDirectory, "volumes"))).toEqual([]);
  });
});
