import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { silentLog } from "../util/log.ts";
import { loadSettings } from "./config.ts";
import { isLoopback, readProtection } from "./exposure.ts";

const folder = mkdtempSync(join(tmpdir(), "n0-exposure-"));
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, text: string, mode = 0o600): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  chmodSync(path, mode);
  return path;
}

function protection(flags: Readonly<Record<string, unknown>>, warnings: string[] = []) {
  const log = { ...silentLog, warn: (message: string) => warnings.push(message) };
  return readProtection(loadSettings("api", { flags, environment: {} }), log);
}

const tlsCert = file("cert.pem", "-----BEGIN CERTIFICATE-----\n");
const tlsKey = file("key.pem", "-----BEGIN PRIVATE KEY-----\n");
const tokenFile = file("token", "a-token-of-16-characters\n");

test.each([
  ["127.0.0.1", true],
  ["127.9.9.9", true],
  ["::1", true],
  ["localhost", true],
  ["0.0.0.0", false],
  ["::", false],
  ["10.0.0.1", false],
  ["::ffff:10.0.0.1", false],
  ["cloud.example", false],
])("%s is loopback: %s", (address, expected) => {
  expect(isLoopback(address)).toBe(expected);
});

describe("beyond loopback", () => {
  test("nothing is served without TLS and token, and it says which is missing", () => {
    expect(() => protection({ bindAddress: "0.0.0.0" })).toThrow(
      "will not listen on 0.0.0.0 without protection: whoever reaches it would command this machine. " +
        "Give --tls-cert and --tls-key and --token-file, or listen on 127.0.0.1, or say --insecure",
    );
    const onlyToken = { bindAddress: "10.0.0.1", tokenFile };
    expect(() => protection(onlyToken)).toThrow("Give --tls-cert and --tls-key, or");
    const onlyTls = { bindAddress: "10.0.0.1", tlsCert, tlsKey };
    expect(() => protection(onlyTls)).toThrow("Give --token-file, or");
  });

  test("--insecure serves, and says so each time", () => {
    const warnings: string[] = [];
    protection({ bindAddress: "0.0.0.0", insecure: true }, warnings);
    expect(warnings).toEqual(["insecure: whoever reaches this address commands this machine"]);
  });

  test("with both it serves", () => {
    const got = protection({ bindAddress: "0.0.0.0", tlsCert, tlsKey, tokenFile });
    expect(got.token).toBe("a-token-of-16-characters");
    expect(got.peer.token).toBe("a-token-of-16-characters");
    expect(got.tls?.cert).toContain("BEGIN CERTIFICATE");
  });
});

test("on loopback nothing is asked for", () => {
  expect(protection({})).toEqual({ peer: {} });
});

test.each([
  [{ tlsCert }, "--tls-cert and --tls-key need each other"],
  [{ tlsClientCa: tlsCert }, "--tls-client-ca needs --tls-cert"],
  [{ tlsCert: "/nowhere", tlsKey }, "--tls-cert: /nowhere cannot be read"],
  [{ tlsCert: tokenFile, tlsKey }, "is no PEM file"],
  [{ tokenFile: "/nowhere" }, "token file /nowhere: cannot be read"],
  [
    { tokenFile: file("open", "a-token-of-16-characters\n", 0o644) },
    "others can read it; run: chmod 600",
  ],
  [
    { tokenFile: file("short", "short\n") },
    "must hold one line of at least 16 printable characters",
  ],
  [{ tokenFile: file("two", "a-token-of-16-characters\nanother\n") }, "must hold one line"],
])("%j: %s", (flags, message) => {
  expect(() => protection(flags)).toThrow(message);
});
