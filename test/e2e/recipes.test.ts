import { createReadStream, readdirSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { requirement } from "../node/requirements.ts";
import { EXAMPLE_VM, example } from "./example.ts";
import { untilSshAnswers } from "./guest.ts";
import { newPlace, type Place } from "./place.ts";
import { PROJECT } from "./program.ts";
import { filesBelow, recordKeys, scan } from "./scan.ts";
import { type Cli, newCli, nodeFlags, type Server, startServer, untilReady } from "./server.ts";

const isPossible = requirement("root") && requirement("libvirt") && requirement("netns");
const TIMES_IN_A_ROW = 3;

describe.runIf(isPossible)("the recipes on a standalone server", () => {
  const opened = new AsyncDisposableStack();
  const ran = new Set<string>();
  let place: Place;
  let server: Server;
  let cli: Cli;

  beforeAll(async () => {
    place = opened.use(await newPlace());
    server = await startServer(place, {
      role: "standalone",
      flags: ["--name", "node-1", "--allow-local-sources", ...nodeFlags(place)],
    });
    opened.defer(async () => void (await server.stop()));
    cli = newCli(server, place);
    await untilReady(cli, 1);
  });
  afterAll(() => opened.disposeAsync());

  async function doRecipe(name: string): Promise<void> {
    ran.add(name);
    await doTasks(await example(`recipes/${name}`, place.baseDirectory));
  }

  async function doTasks(yaml: string): Promise<void> {
    const { code, stderr } = await cli.do(yaml);
    expect(`${code}\n${stderr}`).toMatch(/^0\n[^]*DAG tasks are completed\n$/);
  }

  const volumes = () => filesBelow(join(place.baseDirectory, "volumes"));
  const domains = async () => (await scan(place.prefix)).domains;

  test("register-image again and again, then what boots from it, then back to nothing", async () => {
    const before = await scan(place.prefix);
    await doRecipe("register-image");
    const once = (await volumes()).length;
    for (let i = 0; i < TIMES_IN_A_ROW; i += 1) await doRecipe("register-image-again");
    expect((await volumes()).length).toBe(once);
    const { tags } = await cli.json("get", "image", "cloud");
    expect(Object.keys(tags ?? {}).sort()).toEqual(["18.04", "stable"]);

    await doRecipe("boot-from-image");
    const withMachine = (await volumes()).length;
    for (let i = 0; i < TIMES_IN_A_ROW; i += 1) await doRecipe("boot-from-image-again");
    expect((await volumes()).length).toBe(withMachine);
    expect(await domains()).toEqual([`${place.prefix}web-1`]);
    await untilSshAnswers(cli, place, "web-1");

    await doRecipe("delete-from-image");
    await doRecipe("delete-image");
    expect(await volumes()).toEqual([]);
    expect(await scan(place.prefix)).toEqual(before);
  });

  test("boot-from-iso again and again, and its inverse", async () => {
    const before = await scan(place.prefix);
    await doRecipe("boot-from-iso");
    await doRecipe("delete-from-iso");
    expect(await volumes()).toEqual([]);
    for (let i = 0; i < TIMES_IN_A_ROW; i += 1) await doRecipe("boot-from-iso-again");
    await untilSshAnswers(cli, place, "iso-1");
    await doRecipe("delete-from-iso");
    expect(await volumes()).toEqual([]);
    expect(await scan(place.prefix)).toEqual(before);
  });

  test("boot-vm-again from nothing, and from what it left", async () => {
    const before = await scan(place.prefix);
    for (let i = 0; i < TIMES_IN_A_ROW; i += 1) {
      await doTasks(await example("boot-vm-again", place.baseDirectory));
    }
    await untilSshAnswers(cli, place, EXAMPLE_VM);
    await doTasks(await example("delete-vm", place.baseDirectory));
    expect(await scan(place.prefix)).toEqual(before);
  });

  test("a registration waits for the fetch that it does not name", async () => {
    await using web = await newHeldServer(join(place.baseDirectory, "images/tiny.qcow2"));
    const tasks = cli.do(slowFetch(web.url));
    await web.asked;
    // The fetch is in the middle of its file; the registration is under way and not refused.
    const early = await cli.json("get", "bs", "slow");
    expect(early["state"]).toBe("PENDING");
    web.release();
    const { code, stderr } = await tasks;
    expect(`${code}\n${stderr}`).toMatch(/^0\n/);
    // Both began before either ended.
    expect(stderr).toMatch(/'register-slow' is started[^]*'fetch-slow' is finished/);
    await doTasks(REMOVE_SLOW);
    expect(await volumes()).toEqual([]);
  });

  test("each file of examples/recipes was run, and nothing remains", async () => {
    const names = readdirSync(join(PROJECT, "examples/recipes")).map((f) => f.replace(".yaml", ""));
    expect([...ran].sort()).toEqual(names.sort());
    expect(await server.stop()).toBe(0);
    expect(recordKeys(place.baseDirectory)).toEqual(["node//node-1"]);
    expect(server.log().filter(({ level }) => level === "error")).toEqual([]);
  });
});

function slowFetch(url: string): string {
  return `
apply-image: { type: image, action: ApplyImage, args: { name: slow } }
fetch-slow:
  type: block_storage
  action: FetchBlockStorage
  args: { name: slow, source_url: "${url}", request_bytes: 64MiB, limit_bytes: 1GiB }
  depends_on: [apply-image]
register-slow:
  type: image
  action: RegisterBlockStorage
  args: { image_name: slow, block_storage_name: slow, tags: [latest] }
  depends_on: [apply-image]
`;
}

const REMOVE_SLOW = `
unregister:
  type: image
  action: UnregisterBlockStorage
  args: { image_name: slow, block_storage_name: slow }
delete-image: { type: image, action: DeleteImage, args: { name: slow }, depends_on: [unregister] }
delete-slow: { type: block_storage, action: DeleteBlockStorage, args: { name: slow }, depends_on: [unregister] }
purge-slow: { type: block_storage, action: PurgeBlockStorage, args: { name: slow }, depends_on: [delete-slow] }
`;

/** Serves a file over HTTP, its second half when it is told to. */
async function newHeldServer(file: string) {
  const asked = Promise.withResolvers<void>();
  const released = Promise.withResolvers<void>();
  const half = Math.floor((await readFile(file)).length / 2);
  const server = createServer((_, response) => {
    response.writeHead(200);
    createReadStream(file, { end: half - 1 })
      .on("end", () => {
        asked.resolve();
        void released.promise.then(() => createReadStream(file, { start: half }).pipe(response));
      })
      .pipe(response, { end: false });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/image.qcow2`,
    asked: asked.promise,
    release: () => released.resolve(),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
