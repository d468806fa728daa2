import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { formatDuration } from "../util/duration.ts";
import { loadSettings, printSettings } from "./config.ts";
import { duration } from "./setting.ts";

const folder = mkdtempSync(join(tmpdir(), "n0-config-"));
afterAll(() => rmSync(folder, { recursive: true }));

function file(text: string): string {
  const path = join(folder, "n0core.yaml");
  writeFileSync(path, text);
  return path;
}

const nothing = { flags: {}, environment: {} };

test("without anything given it listens on loopback", () => {
  expect(loadSettings("api", nothing)).toMatchObject({
    bindAddress: "127.0.0.1",
    bindPort: 20180,
    baseDirectory: "/var/lib/n0core",
    insecure: false,
    agentTimeout: 120_000,
  });
  expect(loadSettings("agent", nothing)).toMatchObject({
    bindPort: 20181,
    overcommit: true,
    accelerator: "auto",
    nodeApiEndpoint: "http://127.0.0.1:20180",
    location: { datacenter: "", availabilityZone: "", cell: "", rack: "", unit: 0 },
  });
});

test("a flag goes before the environment, that before the file, that before the default", () => {
  const configPath = file("bind-port: 1\nlog-level: warn\nstop-timeout: 1m\n");
  const settings = loadSettings("api", {
    flags: { bindPort: "3" },
    environment: { N0CORE_BIND_PORT: "2", N0CORE_LOG_LEVEL: "error", HOME: "/root" },
    configPath,
  });
  expect(settings).toMatchObject({ bindPort: 3, logLevel: "error", stopTimeout: 60_000 });
});

test("the environment may name the file", () => {
  const environment = { N0CORE_CONFIG: file("bind-port: 7\n") };
  expect(loadSettings("api", { flags: {}, environment }).bindPort).toBe(7);
});

test("all that is wrong is named at once, with where it is from", () => {
  const configPath = file("log-level: loud\nbind-prot: 1\nimage-size-max: [1]\n");
  const load = () =>
    loadSettings("agent", {
      flags: { bindPort: "x", location: "tokyo" },
      environment: { N0CORE_MEMORY_CAPACITY_BYTES: "10XB", N0CORE_NOTHING: "1" },
      configPath,
    });
  let message = "";
  try {
    load();
  } catch (reason) {
    message = reason instanceof Error ? reason.message : "";
  }
  expect(message.split("\n")).toEqual([
    "N0CORE_NOTHING: there is no setting nothing",
    `${configPath}:2: there is no setting bind-prot; did you mean bind-port?`,
    `log-level (from ${configPath}:1): must be one of debug, info, warn, error, not "loud"`,
    'bind-port (from --bind-port): must be a whole number from 0 to 65535, not "x"',
    'location (from --location): must be <datacenter>/<availability zone>/<cell>/<rack>/<unit>, such as tokyo/az1/c1/r2/14 or ////0, not "tokyo"',
    expect.stringMatching(/^memory-capacity-bytes \(from N0CORE_MEMORY_CAPACITY_BYTES\): "10XB"/),
    `image-size-max (from ${configPath}:3): must be a size such as 10GiB, not [1]`,
  ]);
});

test("settings of another role are left alone", () => {
  const configPath = file("accelerator: tcg\nbind-port: 5\n");
  expect(loadSettings("api", { ...nothing, configPath })).not.toHaveProperty("accelerator");
});

describe.each(["api", "agent", "standalone"] as const)("%s", (role) => {
  test("what is printed gives the same settings", () => {
    const flags = { baseDirectory: folder, stopTimeout: "1500ms", insecure: true };
    const settings = loadSettings(role, { flags, environment: {} });
    const printed = printSettings(role, settings);
    expect(printed).toContain("stop-timeout: 1500ms\n");
    expect(loadSettings(role, { ...nothing, configPath: file(printed) })).toEqual(settings);
  });
});

test("values of every form", () => {
  const configPath = file(
    [
      "allowed-file-folders: [/srv/a, /srv/b]",
      "memory-capacity-bytes: 16GiB",
      "storage-capacity-bytes: 1073741824",
      "overcommit: false",
      "location: tokyo/az1/c/r/14",
    ].join("\n"),
  );
  expect(loadSettings("agent", { ...nothing, configPath })).toMatchObject({
    allowedFileFolders: ["/srv/a", "/srv/b"],
    memoryCapacityBytes: 16n << 30n,
    storageCapacityBytes: 1n << 30n,
    overcommit: false,
    location: { datacenter: "tokyo", unit: 14 },
  });
  const environment = { N0CORE_ALLOWED_FILE_FOLDERS: "/a,/b", N0CORE_OVERCOMMIT: "true" };
  expect(loadSettings("agent", { flags: {}, environment })).toMatchObject({
    allowedFileFolders: ["/a", "/b"],
    overcommit: true,
  });
});

test("ranges of addresses", () => {
  const load = (flags: Readonly<Record<string, unknown>>) =>
    loadSettings("standalone", { flags, environment: {} });
  expect(load({})).toMatchObject({ allowedSources: [], guestDestinations: [] });
  const both = {
    allowedSources: "10.1.2.3,FD00:0:0::/16",
    guestDestinations: "10.1.2.3/8,fd00::1/8",
  };
  expect(load(both)).toMatchObject({
    allowedSources: ["10.1.2.3/32", "fd00::/16"],
    guestDestinations: ["10.0.0.0/8", "fd00::/8"],
  });
  expect(() => load({ allowedSources: "mirror" })).toThrow(
    'allowed-sources (from --allowed-sources): must be CIDRs such as 10.0.0.0/24, not "mirror"',
  );
  expect(loadSettings("agent", nothing).nameservers).toEqual(load({}).nameservers);
});

test.each(["0ms", "1ms", "15s", "90s", "2m", "1h", "36h", "7d"])(
  "the duration %s reads back",
  (text) => {
    expect(duration(formatDuration(duration(text)))).toBe(duration(text));
  },
);

test.each(["[1, 2", "- a", "just text"])("a file that holds %j is refused", (content) => {
  expect(() => loadSettings("api", { ...nothing, configPath: file(content) })).toThrow(
    join(folder, "n0core.yaml:1: "),
  );
});

test("a file that is not there is refused", () => {
  expect(() => loadSettings("api", { ...nothing, configPath: "/nowhere.yaml" })).toThrow(
    "config file /nowhere.yaml: cannot be read",
  );
});

test("the history is kept from an hour to ten years, a week unless told", () => {
  const load = (text: string) =>
    loadSettings("api", { flags: {}, environment: { N0CORE_HISTORY_RETENTION: text } });
  expect(loadSettings("api", nothing).historyRetention).toBe(7 * 86_400_000);
  expect(load("90d").historyRetention).toBe(90 * 86_400_000);
  expect(printSettings("api", load("48h"))).toContain("history-retention: 2d\n");
  for (const text of ["59m", "0s", "3651d", "week"]) {
    expect(() => load(text)).toThrow(
      /history-retention \(from N0CORE_HISTORY_RETENTION\): must be/,
    );
  }
});
