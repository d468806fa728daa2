import { expect, test } from "vitest";
import { nameOnNode } from "../../../util/ref.ts";
import { checkBaseDirectory, domainPaths, folderName, isFolderName } from "./domain-paths.ts";

test("the sockets of the longest name below the longest base fit into a socket's address", () => {
  const base = `/${"b".repeat(27)}`;
  checkBaseDirectory(base);
  const { serialSocket, vncSocket } = domainPaths(base, "n".repeat(63));
  expect(Buffer.byteLength(serialSocket)).toBe(107);
  expect(Buffer.byteLength(vncSocket)).toBeLessThan(107);
});

test("a name that is too long with its scope has a folder of a checksum, which is no other's", () => {
  const base = `/${"b".repeat(27)}`;
  const long = (scope: string) => nameOnNode({ scope, name: "n".repeat(63) });
  const { folder, serialSocket } = domainPaths(base, long("acme"));
  expect(Buffer.byteLength(serialSocket)).toBeLessThan(107);
  expect(domainPaths(base, long("ac")).folder).not.toBe(folder);
  for (const name of ["web", "acme~web", long("acme")]) {
    expect(isFolderName(folderName(name))).toBe(true);
  }
  expect(domainPaths(base, "acme~web").folder).toBe(`${base}/vm/acme~web`);
});

test("a base that is longer, relative or ends with a slash is refused with the reason", () => {
  for (const base of [`/${"b".repeat(28)}`, "/é".repeat(10), "var/n0", "/var/n0/"]) {
    expect(() => checkBaseDirectory(base)).toThrow("at most 28 bytes");
  }
});

test("a name that is none never becomes a path", () => {
  for (const name of ["..", ".", "", "a/b", "-a", "a\0", "~a", "a~", "a~b~c"]) {
    expect(() => domainPaths("/base", name)).toThrow("name: must match");
  }
});
