import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { fc } from "../../../test/properties.ts";
import { metaData, networkConfig, seedFiles, userData } from "./cloud-init.ts";
import { exampleSeed } from "./seed-driver.suite.ts";

/** As PyYAML, and so cloud-init, reads it. */
const read = (text: string) => parse(text, { version: "1.1" });

describe("the files of a seed, to the letter", () => {
  test("user-data", () => {
    expect(userData(exampleSeed)).toBe(`#cloud-config
users:
  - name: n0user
    groups: sudo
    shell: /bin/bash
    sudo: ALL=(ALL) NOPASSWD:ALL
    lock_passwd: true
    ssh_authorized_keys:
      - ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJNdwBOTE0VHvWA1Lqp2cUDFhRQPBpSmBtDEBtq8vX3X me@home
`);
  });

  test("user-data without a login user", () => {
    const { loginUsername: _, ...seed } = exampleSeed;
    expect(userData(seed)).toBe(`#cloud-config
disable_root: true
ssh_authorized_keys:
  - ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJNdwBOTE0VHvWA1Lqp2cUDFhRQPBpSmBtDEBtq8vX3X me@home
`);
  });

  test("meta-data", () => {
    expect(metaData(exampleSeed)).toBe(`instance-id: 3f2b6f6e-0000-4000-8000-000000000001
local-hostname: web-1
`);
  });

  test("network-config: a nic with all, a nic with nothing, an address that YAML takes for a number", () => {
    expect(networkConfig(exampleSeed.nics)).toBe(`version: 2
ethernets:
  eth0:
    match:
      macaddress: 52:54:f5:8c:a4:f2
    set-name: eth0
    addresses:
      - 10.0.0.2/24
      - fd00::2/64
      - 10.0.0.3/24
      - fd00::3/64
    gateway4: 10.0.0.1
    gateway6: fd00::1
    nameservers:
      addresses:
        - 8.8.8.8
        - fd00::53
      search:
        - example.internal
  eth1:
    match:
      macaddress: "52:54:00:12:34:56"
    set-name: eth1
`);
  });

  test("network-config without nics", () => {
    expect(networkConfig([])).toBe("version: 2\n");
  });
});

describe("nothing breaks out of its place", () => {
  const anyText = fc.string({ unit: "grapheme", maxLength: 300 });

  test("whatever the user name and the keys are", () => {
    fc.assert(
      fc.property(anyText, fc.array(anyText, { minLength: 1 }), (loginUsername, keys) => {
        const { users } = read(
          userData({ ...exampleSeed, loginUsername, sshAuthorizedKeys: keys }),
        );
        expect(users).toHaveLength(1);
        expect(users[0]).toMatchObject({ name: loginUsername, ssh_authorized_keys: keys });
      }),
    );
  });

  test("whatever the instance and host name are", () => {
    fc.assert(
      fc.property(anyText, anyText, (instanceId, hostname) => {
        const value = read(metaData({ ...exampleSeed, instanceId, hostname }));
        expect(value).toEqual({ "instance-id": instanceId, "local-hostname": hostname });
      }),
    );
  });

  test.each([
    "yes",
    "0x10",
    "1e3",
    "12:30:00",
    "null",
    "~",
    "a: b",
    "- x",
    "#",
    "a\nb: c",
    "{}",
    "",
  ])("%j stays a string on one line", (hostname) => {
    const text = metaData({ ...exampleSeed, hostname });
    expect(read(text)["local-hostname"]).toBe(hostname);
    expect(text.split("\n")).toHaveLength(3);
  });

  test("a long key stays on one line, and the same key twice is no alias", () => {
    const key = `ssh-rsa ${"A".repeat(700)} someone with a long comment`;
    const text = userData({ ...exampleSeed, sshAuthorizedKeys: [key, key] });
    expect(text.split("\n").filter((line) => line === `      - ${key}`)).toHaveLength(2);
  });
});

test("seedFiles are the three that NoCloud reads", () => {
  expect(seedFiles(exampleSeed).map(({ name }) => name)).toEqual([
    "user-data",
    "meta-data",
    "network-config",
  ]);
});
