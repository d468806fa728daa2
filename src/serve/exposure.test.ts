import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { deriveAgentToken } from "../rpc/agent-token.ts";
import { silentLog } from "../util/log.ts";
import { loadSettings } from "./config.ts";
import { protectAgent, protectApi } from "./exposure.ts";

const folder = mkdtempSync(join(tmpdir(), "n0-exposure-"));
afterAll(() => rmSync(folder, { recursive: true }));

const TOKEN = "a-token-of-16-characters";
const AGENT_TOKEN = "another-token-of-24-char";

function file(name: string, text: string, mode = 0o600): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  chmodSync(path, mode);
  return path;
}

type Flags = Readonly<Record<string, unknown>>;

function logTo(warnings: string[]) {
  return { ...silentLog, warn: (message: string) => void warnings.push(message) };
}

function api(flags: Flags, warnings: string[] = []) {
  const all = { baseDirectory: folder, ...flags };
  return protectApi(loadSettings("api", { flags: all, environment: {} }), logTo(warnings));
}

function agent(flags: Flags, warnings: string[] = []) {
  const all = { baseDirectory: folder, ...flags };
  const loaded = loadSettings("agent", { flags: all, environment: {} });
  const { bindAddress = "127.0.0.1" } = loaded;
  return protectAgent({ ...loaded, bindAddress }, logTo(warnings));
}

function standalone(flags: Flags) {
  const all = { baseDirectory: folder, ...flags };
  return protectApi(loadSettings("standalone", { flags: all, environment: {} }), silentLog);
}

const tlsCert = file("cert.pem", "-----BEGIN CERTIFICATE-----\n");
const tlsKey = file("key.pem", "-----BEGIN PRIVATE KEY-----\n");
const tokenFile = file("given", `${TOKEN}\n`);
const agentTokenFile = file("agents", `${AGENT_TOKEN}\n`);
const tls = { tlsCert, tlsKey };

describe("beyond loopback", () => {
  test("an API makes its own certificate, and an agent must join, or have TLS and a token", () => {
    expect(api({ bindAddress: "0.0.0.0" })).toMatchObject({ hasTls: true });
    expect(api({ bindAddress: "0.0.0.0" }).tls).toBeUndefined();
    expect(api({}).hasTls).toBe(false);
    expect(() => agent({ bindAddress: "10.0.0.1" })).toThrow(
      "will not listen on 10.0.0.1 without protection: everyone who reaches it would have root on this node. " +
        "Give --join (n0cli node join-token prints it), or --tls-cert and --tls-key and --token-file, or listen on " +
        "127.0.0.1, or give --insecure",
    );
    expect(() => agent({ bindAddress: "10.0.0.1", ...tls })).toThrow("or --token-file, or");
  });

  test("--insecure serves without a token, and says so each time", () => {
    const warnings: string[] = [];
    const flags = { bindAddress: "0.0.0.0", insecure: true };
    expect(api(flags, warnings)).toEqual({ hasTls: false, toAgents: {} });
    expect(agent(flags, warnings)).toEqual({ hasTls: false, toAgents: {}, toApi: {} });
    const warning = "insecure: everyone who reaches this address has root on this node";
    expect(warnings).toEqual([warning, warning]);
  });

  test.each([
    ["10.0.0.1", "10.0.0.0/24"],
    ["10.0.0.1", "10.0.0.1/32"],
    ["cloud.example", "192.0.2.0/24"],
    ["0.0.0.0", "0.0.0.0/0"],
    ["::", "0.0.0.0/0"],
    ["2001:db8::1", "2001:db8::/64"],
  ])("--insecure on %s does not go with --guest-destinations %s", (bindAddress, cidr) => {
    for (const protect of [agent, standalone]) {
      const flags = { bindAddress, insecure: true, guestDestinations: ["198.51.100.0/24", cidr] };
      const read = (more: Flags = {}) => protect({ ...flags, ...more });
      expect(read).toThrow(
        `--insecure: guests that reach ${bindAddress} would have root on this node`,
      );
      expect(() => read({ tlsCert, tlsKey, tokenFile })).not.toThrow();
    }
  });

  test.each([
    ["10.0.0.1", "10.0.1.0/24"],
    ["2001:db8::1", "0.0.0.0/0"],
    ["2001:db8::1", "2001:db8:1::/64"],
  ])("--insecure on %s goes with --guest-destinations %s", (bindAddress, cidr) => {
    const flags = { bindAddress, insecure: true, guestDestinations: [cidr] };
    expect(() => agent(flags)).not.toThrow();
  });

  test("an insecure agent without TLS asks for no token, as nobody sends it one, and registers with it", () => {
    const got = agent({ bindAddress: "0.0.0.0", insecure: true, tokenFile });
    expect(got.token).toBeUndefined();
    expect(got.toApi.token?.value).toBe(TOKEN);
    const secured = agent({ bindAddress: "0.0.0.0", insecure: true, tokenFile, ...tls });
    expect(secured.token).toBe(deriveAgentToken(TOKEN));
  });

  test("with TLS an API serves, and asks for a token of its own where none is given", () => {
    const got = api({ bindAddress: "0.0.0.0", ...tls, tokenFile });
    expect(got.token).toBe(TOKEN);
    expect(got.tls?.cert).toContain("BEGIN CERTIFICATE");
    expect(api({ bindAddress: "0.0.0.0", ...tls }).token).toMatch(/^[\w-]{43}$/);
  });
});

describe("on loopback", () => {
  test("an API and an agent with one base directory have one token, which is asked for", () => {
    const made = api({});
    expect(made.token).toMatch(/^[\w-]{43}$/);
    const other = agent({});
    expect(other.toApi.token?.value).toBe(made.token);
    expect(api({}).token).toBe(made.token);
  });

  test("--insecure asks no client, and says so each time; agents are still sent a token", () => {
    const warnings: string[] = [];
    const got = api({ tokenFile, insecure: true }, warnings);
    expect(got.token).toBeUndefined();
    expect(got.toAgents.token?.value).toBe(deriveAgentToken(TOKEN));
    expect(warnings).toEqual([expect.stringMatching(/^insecure: every user of this computer/)]);
  });
});

describe("the token of agents", () => {
  test("is derived, the same by both, and does not tell the operators' token", () => {
    const derived = api({ tokenFile }).toAgents.token?.value;
    expect(derived).toMatch(/^[\w-]{43}$/);
    expect(derived).not.toContain(TOKEN);
    const { token, toAgents, toApi } = agent({ tokenFile });
    expect([token, toAgents.token?.value, toApi.token?.value]).toEqual([derived, derived, TOKEN]);
  });

  test("is what the file says, if there is one", () => {
    expect(api({ tokenFile, agentTokenFile }).toAgents.token?.value).toBe(AGENT_TOKEN);
    const { token, toAgents } = agent({ tokenFile, agentTokenFile });
    expect([token, toAgents.token?.value]).toEqual([AGENT_TOKEN, AGENT_TOKEN]);
  });
});

test.each([
  [{ tlsCert }, "--tls-cert and --tls-key need each other"],
  [{ tlsClientCa: tlsCert }, "--tls-client-ca needs --tls-cert"],
  [{ tlsCert: "/nowhere", tlsKey }, "--tls-cert: /nowhere cannot be read"],
  [{ tlsCert: tokenFile, tlsKey }, "is not a PEM file"],
  [{ tokenFile: "/nowhere" }, "token file /nowhere: cannot be read"],
  [{ agentTokenFile: "/nowhere" }, "token file /nowhere: cannot be read"],
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
  expect(() => api(flags)).toThrow(message);
});
