import { join } from "node:path";
import { expect, test } from "vitest";
import { requirement } from "../node/requirements.ts";
import { newPlace } from "./place.ts";
import { must, run } from "./program.ts";
import { filesBelow } from "./scan.ts";
import { newCli, nodeFlags, startServer, untilReady } from "./server.ts";

const isPossible = requirement("root") && requirement("libvirt") && requirement("netns");

/** A file that is a mount point cannot be removed. */
async function mounted(path: string): Promise<AsyncDisposable> {
  await must("mount", ["--bind", path, path]);
  return { [Symbol.asyncDispose]: async () => void (await run("umount", [path])) };
}

test.runIf(isPossible)(
  "a step that cannot be finished is given up, and verify finds what it leaves",
  {
    timeout: 180_000,
  },
  async () => {
    await using place = await newPlace();
    const flags = ["--name", "node-1", ...nodeFlags(place)];
    const server = await startServer(place, { role: "standalone", flags });
    await using opened = new AsyncDisposableStack();
    opened.defer(async () => void (await server.stop()));
    const cli = newCli(server, place);
    await untilReady(cli, 1);
    const sizes = ["--request_bytes", "1MiB", "--limit_bytes", "1MiB"];
    await cli.must("bs", "create", "data", ...sizes);
    await cli.must("bs", "delete", "data");
    const volumes = join(place.baseDirectory, "volumes");
    const file = (await filesBelow(volumes)).find((path) => path.endsWith(".qcow2"))!;
    const mount = opened.use(await mounted(join(volumes, file)));

    const stuck = await cli.run("bs", "purge", "data");
    expect(stuck).toMatchObject({
      code: 9,
      stderr: expect.stringMatching(/finishing it failed: volume\.remove: .*EBUSY/),
    });
    const id = (await cli.must("tx", "list", "--state", "needs_operator", "-o", "name")).trim();
    expect(await cli.run("bs", "create", "data", ...sizes)).toMatchObject({
      code: 6,
      stderr: expect.stringContaining(`transaction ${id} works on it or needs an operator`),
    });

    const left = expect.stringContaining('the file of volume "data.');
    expect(await cli.run("tx", "give-up", id, "--plan")).toMatchObject({ code: 0, stderr: left });
    expect(await cli.run("tx", "give-up", id)).toMatchObject({
      code: 0,
      stdout: expect.stringContaining("PHASE_DONE"),
      stderr: left,
    });
    await cli.must("bs", "create", "data", ...sizes);

    await mount[Symbol.asyncDispose]();
    expect(await cli.run("verify")).toMatchObject({
      code: 3,
      stdout: expect.stringContaining("volume.without_record"),
    });
    await cli.run("verify", "--repair");
    expect((await cli.run("verify")).code).toBe(0);
  },
);
