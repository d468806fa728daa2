import { describe, expect, test } from "vitest";
import { sha256 } from "../../util/user-data.ts";
import type { Seed, SeedDriver } from "./seed-driver.ts";

export interface SeedDriverUnderTest {
  readonly driver: SeedDriver;
  readonly folder: string;
  /** The host name in the seed at `path`. */
  readonly hostnameAt: (path: string) => Promise<string | undefined>;
}

export const exampleSeed: Seed = {
  instanceId: "3f2b6f6e-0000-4000-8000-000000000001",
  hostname: "web-1",
  loginUsername: "n0user",
  sshAuthorizedKeys: [
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJNdwBOTE0VHvWA1Lqp2cUDFhRQPBpSmBtDEBtq8vX3X me@home",
  ],
  nics: [
    {
      hardwareAddress: "52:54:f5:8c:a4:f2",
      ipv4Address: "10.0.0.2/24",
      ipv6Address: "fd00::2/64",
      secondaryAddresses: ["10.0.0.3/24", "fd00::3/64"],
      ipv4Gateway: "10.0.0.1",
      ipv6Gateway: "fd00::1",
      nameservers: ["8.8.8.8", "fd00::53"],
      searchDomains: ["example.internal"],
    },
    { hardwareAddress: "52:54:00:12:34:56", nameservers: [], searchDomains: [] },
  ],
};

/** What every SeedDriver does. */
export function seedDriverSuite(name: string, make: () => Promise<SeedDriverUnderTest>): void {
  describe(`${name} keeps the contract of SeedDriver`, () => {
    test("writes a seed into the folder and answers its path", async () => {
      const { driver, folder, hostnameAt } = await make();
      const path = await driver.ensure(folder, exampleSeed, AbortSignal.timeout(10_000));
      expect(path.startsWith(`${folder}/`)).toBe(true);
      expect(await hostnameAt(path)).toBe("web-1");
    });

    test("can be repeated, with the same answer", async () => {
      const { driver, folder, hostnameAt } = await make();
      const first = await driver.ensure(folder, exampleSeed, AbortSignal.timeout(10_000));
      const second = await driver.ensure(folder, exampleSeed, AbortSignal.timeout(10_000));
      expect(second).toBe(first);
      expect(await hostnameAt(second)).toBe("web-1");
    });

    test("replaces another seed", async () => {
      const { driver, folder, hostnameAt } = await make();
      await driver.ensure(folder, exampleSeed, AbortSignal.timeout(10_000));
      const next = { ...exampleSeed, hostname: "web-2" };
      const path = await driver.ensure(folder, next, AbortSignal.timeout(10_000));
      expect(await hostnameAt(path)).toBe("web-2");
    });

    test("finds the seed that it wrote, and none before", async () => {
      const { driver, folder } = await make();
      expect(await driver.find(folder)).toBeUndefined();
      const path = await driver.ensure(folder, exampleSeed, AbortSignal.timeout(10_000));
      expect(await driver.find(folder)).toBe(path);
    });

    test("says which files of a seed differ, and undefined where there is none", async () => {
      const { driver, folder } = await make();
      expect(await driver.compare(folder, exampleSeed)).toBeUndefined();
      await driver.ensure(folder, exampleSeed, AbortSignal.timeout(10_000));
      expect(await driver.compare(folder, exampleSeed)).toEqual([]);
      const [nic, ...nics] = exampleSeed.nics;
      const moved = { ...exampleSeed, nics: [{ ...nic!, ipv4Address: "10.0.0.20/24" }, ...nics] };
      expect(await driver.compare(folder, moved)).toEqual(["network-config"]);
      const renamed = { ...exampleSeed, hostname: "web-12", sshAuthorizedKeys: [] };
      expect(await driver.compare(folder, renamed)).toEqual(["user-data", "meta-data"]);
      // Not only that it begins alike.
      const shorter = { ...exampleSeed, hostname: "web-" };
      expect(await driver.compare(folder, shorter)).toEqual(["meta-data"]);
    });

    test("reads the seed that it wrote, and none before", async () => {
      const { driver, folder } = await make();
      expect(await driver.read(folder)).toBeUndefined();
      await driver.ensure(folder, exampleSeed, AbortSignal.timeout(10_000));
      expect(await driver.read(folder)).toEqual(exampleSeed);
      const { loginUsername: _, ...nobody } = exampleSeed;
      await driver.ensure(folder, { ...nobody, nics: [] }, AbortSignal.timeout(10_000));
      expect(await driver.read(folder)).toEqual({ ...nobody, nics: [] });
    });

    test("keeps user data, and compares it by its hash", async () => {
      const { driver, folder } = await make();
      const MIME =
        'Content-Type: multipart/mixed; boundary="B"\nMIME-Version: 1.0\n\n--B\n\na\n--B--';
      for (const userData of ["#!/bin/sh\necho é 中", "#cloud-config\na: 1\n", MIME]) {
        await driver.ensure(folder, { ...exampleSeed, userData }, AbortSignal.timeout(10_000));
        expect(await driver.read(folder)).toEqual({ ...exampleSeed, userData });
        const compare = async (expected: object) =>
          await driver.compare(folder, { ...exampleSeed, ...expected });
        const userDataSha256 = sha256(userData);
        expect(await compare({ userDataSha256 })).toEqual([]);
        expect(await compare({ userDataSha256, hostname: "web-2" })).toEqual(["meta-data"]);
        expect(await compare({ userDataSha256, sshAuthorizedKeys: [] })).toEqual(["user-data"]);
        expect(await compare({ userDataSha256: sha256("") })).toEqual(["user-data"]);
        expect(await compare({})).toEqual(["user-data"]);
      }
      await driver.ensure(folder, exampleSeed, AbortSignal.timeout(10_000));
      expect(await driver.compare(folder, { ...exampleSeed, userDataSha256: sha256("") })).toEqual([
        "user-data",
      ]);
    });

    test("does nothing for a signal that is aborted", async () => {
      const { driver, folder, hostnameAt } = await make();
      const path = await driver.ensure(folder, exampleSeed, AbortSignal.timeout(10_000));
      const next = { ...exampleSeed, hostname: "web-2" };
      await expect(driver.ensure(folder, next, AbortSignal.abort())).rejects.toThrow();
      expect(await hostnameAt(path)).toBe("web-1");
    });
  });
}
