import { existsSync, readdirSync } from "node:fs";
import { copyFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { requirement } from "../node/requirements.ts";
import { EXAMPLE_VM, example } from "./example.ts";
import { inGuest, untilSshAnswers } from "./guest.ts";
import { newPlace, type Place } from "./place.ts";
import { madeBy, PROJECT } from "./program.ts";
import { scan } from "./scan.ts";
import { type Cli, newCli, nodeFlags, type Server, startServer, untilReady } from "./server.ts";

const isPossible =
  requirement("root") && requirement("libvirt") && requirement("netns") && isWanted();
/** Without a cached image; from a mirror that answers quickly it is three. */
const BUILD_TIMEOUT_MS = 8 * 60_000;
/** systemd and cloud-init under emulation; on an idle machine it is one and a half. */
const BOOT_TIMEOUT_MS = 6 * 60_000;

/** Building the image takes minutes: on CI always, elsewhere where it is there already or asked for. */
function isWanted(): boolean {
  const { CI, N0_E2E_DEBIAN } = process.env;
  const images = join(PROJECT, ".cache/images");
  const isCached =
    existsSync(images) && readdirSync(images).some((name) => /^debian-.*\.qcow2$/.test(name));
  if (CI === "true" || N0_E2E_DEBIAN === "1" || isCached) return true;
  console.warn(
    "SKIPPED: the tests that need a Debian image: npm run image:debian, or N0_E2E_DEBIAN=1",
  );
  return false;
}

describe.runIf(isPossible)("a Debian guest on a standalone server", () => {
  const opened = new AsyncDisposableStack();
  let place: Place;
  let server: Server;
  let cli: Cli;

  beforeAll(async () => {
    const startMs = performance.now();
    const image = await madeBy("scripts/image/debian.sh", BUILD_TIMEOUT_MS);
    const seconds = (performance.now() - startMs) / 1000;
    console.info(`Debian image: ${seconds.toFixed(0)} s to have it`);
    place = opened.use(await newPlace());
    await copyFile(image, join(place.baseDirectory, "images", "debian.qcow2"));
    server = await startServer(place, {
      role: "standalone",
      flags: ["--name", "node-1", "--nameservers", "192.0.2.53", ...nodeFlags(place)],
    });
    opened.defer(async () => void (await server.stop()));
    cli = newCli(server, place);
    await untilReady(cli, 1);
  }, BUILD_TIMEOUT_MS + 60_000);
  afterAll(() => opened.disposeAsync());

  test("cloud-init makes the user, the name, the address and the larger disk", {
    timeout: BOOT_TIMEOUT_MS + 60_000,
  }, async () => {
    const made = await cli.do(await debianExample("boot-vm"));
    expect(`${made.code}\n${made.stderr}`).toMatch(/^0\n/);
    const seconds = await untilSshAnswers(cli, place, EXAMPLE_VM, BOOT_TIMEOUT_MS);
    console.info(`Debian guest: SSH ${seconds.toFixed(0)} s after n0cli do`);
    const ssh = (command: string) => inGuest(cli, place, EXAMPLE_VM, command);
    expect(await ssh("id -un; hostname; sudo id -u")).toBe(`n0\n${EXAMPLE_VM}\n0\n`);
    expect(await ssh("ip -4 -o addr show dev eth0")).toContain("inet 10.99.0.10/24");
    expect(await ssh("ip route")).toContain("default via 10.99.0.254");
    expect(await ssh("resolvectl dns eth0 || cat /etc/resolv.conf")).toContain("192.0.2.53");
    expect(await ssh("cloud-init status || true")).toMatch(/status: (?:running|done)/);
    // The disk is 4 GiB and the image is not: its file system was grown.
    expect(Number(await ssh("df -m --output=size / | tail -1"))).toBeGreaterThan(3000);
  });

  test("it is shut down by its power button, and nothing of it remains", {
    timeout: BOOT_TIMEOUT_MS,
  }, async () => {
    await cli.must("vm", "shutdown", EXAMPLE_VM, "--deadline_seconds", "150");
    expect((await cli.json("get", "vm", EXAMPLE_VM))["state"]).toBe("SHUTDOWN");
    const { code, stderr } = await cli.do(await debianExample("delete-vm"));
    expect(`${code}\n${stderr}`).toMatch(/^0\n/);
    const { domains, namespaces, links } = await scan(place.prefix);
    expect([...domains, ...namespaces, ...links]).toEqual([]);
  });

  /** The example with this image, which wants more memory and disk. */
  async function debianExample(name: string): Promise<string> {
    return (await example(name, place.baseDirectory))
      .replaceAll("images/tiny.qcow2", "images/debian.qcow2")
      .replaceAll("limit_bytes: 1GiB", "limit_bytes: 4GiB")
      .replaceAll("256MiB", "512MiB");
  }
});
