import { execFileSync, spawnSync } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Finding } from "../../scripts/scan-host/findings.ts";
import { scanHost } from "../../scripts/scan-host.ts";
import { requirement } from "../node/requirements.ts";
import { PROJECT } from "./bundle.ts";
import { type Cluster, openCluster } from "./cluster.ts";
import { must, type Request, remoteReader } from "./remote.ts";

const isPossible = requirement("root") && requirement("libvirt") && requirement("netns");
const MiB = 1 << 20;

interface Printed {
  readonly host: unknown;
  readonly records: unknown;
  readonly findings: readonly Finding[];
}

/** One thing out of place, and how it is put back. */
interface Drift {
  readonly code: string;
  readonly make: (place: Cluster["places"][number], name: string) => void;
  readonly unmake: (place: Cluster["places"][number], name: string) => void;
  /** The agent removes it each few seconds, so perhaps before anybody looks. */
  readonly isSwept?: true;
}

/** The highest of the network that is no gateway's. */
const ADDRESS = "10.231.9.253";

function run(file: string, ...args: string[]): string {
  return execFileSync(file, args, { stdio: "pipe", encoding: "utf8" });
}

/** The tap of the only virtual machine. */
function tapIn(prefix: string): string {
  const text = run("ip", "-n", `${prefix}net`, "-json", "link", "show", "type", "tun");
  const links = JSON.parse(text) as readonly { readonly ifname?: string }[];
  return links.find(({ ifname }) => ifname !== undefined)?.ifname ?? "";
}

function changeFilter(prefix: string, verb: "add" | "delete", set: string, key: string): void {
  const element = ["element", "bridge", "n0stack", set, `{ ${key} }`];
  run("ip", "netns", "exec", `${prefix}net`, "nft", verb, ...element);
}

/** Makes or removes a chain as that of the limits of a tap. */
function changeLimits(prefix: string, verb: "add" | "delete", tap: string): void {
  const nft = ["netns", "exec", `${prefix}net`, "nft", verb];
  if (verb === "add") run("ip", ...nft, "table", "netdev", "n0stack");
  run("ip", ...nft, "chain", "netdev", "n0stack", `from_${tap}`);
  if (verb === "delete") run("ip", ...nft, "table", "netdev", "n0stack");
}

/** Of the tables of security groups. */
function changeGroups(prefix: string, verb: "add" | "delete", ...what: readonly string[]): void {
  const [kind = "", family = "", ...rest] = what;
  const nft = ["netns", "exec", `${prefix}net`, "nft", verb, kind, family, "n0stack-groups"];
  run("ip", ...nft, ...rest);
}

const bridgeIn = (prefix: string) =>
  /^\d+: (\S+):/.exec(
    run("ip", "-n", `${prefix}net`, "-o", "link", "show", "type", "bridge"),
  )?.[1] ?? "";

/** Makes a set as those of the members of groups, with one element. */
function addSet(prefix: string, name: string, element?: string): void {
  changeGroups(prefix, "add", "set", "inet", name, "{ type ipv4_addr; }");
  if (element !== undefined) changeGroups(prefix, "add", "element", "inet", name, `{ ${element} }`);
}

function changeMetadata(prefix: string, verb: string): void {
  const scope = verb === "add" ? ["scope", "link"] : [];
  const its = ["169.254.169.254/32", "dev", bridgeIn(prefix)];
  run("ip", "-n", `${prefix}net`, "address", verb, ...its, ...scope);
}

const STRANGER = "52:54:00:00:00:97";
const NEIGHBOUR = ["10.231.9.7", "lladdr", STRANGER, "nud", "permanent"];

/** Makes a device as that of a segment. */
function addSegment(prefix: string): void {
  const vxlan = ["type", "vxlan", "id", "77", "dstport", "4789"];
  run("ip", "-n", `${prefix}net`, "link", "add", "vx0", ...vxlan);
}

function removeSegment(prefix: string): void {
  run("ip", "-n", `${prefix}net`, "link", "delete", "vx0");
}

const DRIFTS: readonly Drift[] = [
  {
    code: "FILE_WITHOUT_RECORD",
    make: ({ baseDirectory }) => writeFileSync(join(baseDirectory, "volumes/stray.qcow2"), ""),
    unmake: ({ baseDirectory }) => rmSync(join(baseDirectory, "volumes/stray.qcow2")),
  },
  {
    code: "FOLDER_WITHOUT_MACHINE",
    make: ({ baseDirectory }) => run("mkdir", join(baseDirectory, "vm/stray")),
    unmake: ({ baseDirectory }) => rmSync(join(baseDirectory, "vm/stray"), { recursive: true }),
  },
  {
    code: "NAMESPACE_WITHOUT_OWNER",
    make: ({ prefix }) => run("ip", "netns", "add", `${prefix}stray`),
    unmake: ({ prefix }) => run("ip", "netns", "delete", `${prefix}stray`),
  },
  {
    code: "DEVICE_WITHOUT_OWNER",
    make: ({ prefix }, name) => {
      run("ip", "link", "add", `x${name}`, "type", "bridge");
      run("ip", "link", "set", `x${name}`, "alias", `n0stack:${prefix}:network/stray:1`);
    },
    unmake: (_, name) => run("ip", "link", "delete", `x${name}`),
  },
  {
    code: "METADATA_DIFFERS",
    make: ({ prefix }) => changeMetadata(prefix, "delete"),
    unmake: ({ prefix }) => changeMetadata(prefix, "add"),
  },
  {
    code: "TAP_WITHOUT_OWNER",
    make: ({ prefix }, name) =>
      run("ip", "-n", `${prefix}net`, "tuntap", "add", `x${name}`, "mode", "tap"),
    unmake: ({ prefix }, name) => run("ip", "-n", `${prefix}net`, "link", "delete", `x${name}`),
  },
  {
    code: "NIC_WITHOUT_FILTER",
    make: ({ prefix }) => changeFilter(prefix, "delete", "ipv4", `"${tapIn(prefix)}" . ${ADDRESS}`),
    unmake: ({ prefix }) => changeFilter(prefix, "add", "ipv4", `"${tapIn(prefix)}" . ${ADDRESS}`),
  },
  {
    code: "FILTER_WITHOUT_TAP",
    make: ({ prefix }) => changeFilter(prefix, "add", "ipv4", `"gone0" . ${ADDRESS}`),
    unmake: ({ prefix }) => changeFilter(prefix, "delete", "ipv4", `"gone0" . ${ADDRESS}`),
  },
  {
    code: "LIMITS_DIFFER",
    make: ({ prefix }) => changeLimits(prefix, "add", tapIn(prefix)),
    unmake: ({ prefix }) => changeLimits(prefix, "delete", tapIn(prefix)),
  },
  {
    code: "LIMITS_WITHOUT_TAP",
    make: ({ prefix }, name) => changeLimits(prefix, "add", `x${name}`),
    unmake: ({ prefix }, name) => changeLimits(prefix, "delete", `x${name}`),
  },
  {
    code: "SERVICES_WITHOUT_NETWORK",
    isSwept: true,
    make: ({ baseDirectory }) => run("mkdir", "-p", join(baseDirectory, "services/stray")),
    unmake: ({ baseDirectory }) =>
      rmSync(join(baseDirectory, "services/stray"), { recursive: true, force: true }),
  },
  {
    code: "GROUPS_DIFFER",
    make: ({ prefix }) => addSet(prefix, "l4_0badcafe", `10.231.9.7 comment "${tapIn(prefix)}"`),
    unmake: ({ prefix }) => changeGroups(prefix, "delete", "set", "inet", "l4_0badcafe"),
  },
  {
    code: "GROUPS_WITHOUT_TAP",
    make: ({ prefix }) =>
      changeGroups(prefix, "add", "element", "bridge", "ports", `{ "gone0" : 0x00000001 }`),
    unmake: ({ prefix }) =>
      changeGroups(prefix, "delete", "element", "bridge", "ports", `{ "gone0" }`),
  },
  {
    code: "GROUP_CHAIN_UNUSED",
    make: ({ prefix }) => changeGroups(prefix, "add", "chain", "inet", "in_0badcafe"),
    unmake: ({ prefix }) => changeGroups(prefix, "delete", "chain", "inet", "in_0badcafe"),
  },
  {
    code: "GROUP_SET_UNUSED",
    make: ({ prefix }) => addSet(prefix, "l4_0badcafe"),
    unmake: ({ prefix }) => changeGroups(prefix, "delete", "set", "inet", "l4_0badcafe"),
  },
  {
    code: "MEMBER_WITHOUT_OWNER",
    make: ({ prefix }) => addSet(prefix, "m4_0badcafe", "10.231.9.7"),
    unmake: ({ prefix }) => changeGroups(prefix, "delete", "set", "inet", "m4_0badcafe"),
  },
  {
    code: "NEIGHBOUR_WITHOUT_OWNER",
    make: ({ prefix }) => {
      const device = ["dev", bridgeIn(prefix)];
      run("ip", "-n", `${prefix}net`, "neigh", "add", ...NEIGHBOUR, ...device);
    },
    unmake: ({ prefix }) => {
      const device = ["dev", bridgeIn(prefix)];
      run("ip", "-n", `${prefix}net`, "neigh", "delete", NEIGHBOUR[0]!, ...device);
    },
  },
  {
    code: "SEGMENT_DIFFERS",
    make: ({ prefix }) => addSegment(prefix),
    unmake: ({ prefix }) => removeSegment(prefix),
  },
  {
    code: "REMOTE_WITHOUT_OWNER",
    make: ({ prefix }) => {
      addSegment(prefix);
      const entry = [STRANGER, "dev", "vx0", "dst", "192.0.2.7"];
      run("bridge", "-n", `${prefix}net`, "fdb", "append", ...entry);
    },
    unmake: ({ prefix }) => removeSegment(prefix),
  },
  {
    code: "SHARING_DIFFERS",
    make: ({ prefix }) => {
      addSegment(prefix);
      const entry = ["00:00:00:00:00:00", "dev", "vx0", "dst", "192.0.2.7"];
      run("bridge", "-n", `${prefix}net`, "fdb", "append", ...entry);
    },
    unmake: ({ prefix }) => removeSegment(prefix),
  },
  {
    code: "ENTRY_WITHOUT_TAP",
    make: ({ baseDirectory }) => run("touch", join(baseDirectory, "services/net/hosts/gone0")),
    unmake: ({ baseDirectory }) => rmSync(join(baseDirectory, "services/net/hosts/gone0")),
  },
  {
    code: "STATE_DIFFERS",
    make: ({ prefix }, name) => run("virsh", "suspend", `${prefix}${name}`),
    unmake: ({ prefix }, name) => run("virsh", "resume", `${prefix}${name}`),
  },
  {
    code: "DEFINITION_DIFFERS",
    make: ({ prefix }, name) => run("virsh", "setmaxmem", `${prefix}${name}`, "192MiB", "--config"),
    unmake: ({ prefix }, name) =>
      run("virsh", "setmaxmem", `${prefix}${name}`, "128MiB", "--config"),
  },
];

describe.runIf(isPossible)("scan-host", () => {
  const opened = new AsyncDisposableStack();
  let cluster: Cluster;
  let name: string;

  beforeAll(async () => {
    cluster = opened.use(await openCluster({ kind: "standalone" }));
    name = `vm${cluster.tag}`;
    await cluster.start();
    const requests: readonly Request[] = [
      ["NetworkService/ApplyNetwork", { name: "net", ipv4Cidr: "10.231.9.0/24" }],
      [
        "BlockStorageService/CreateBlockStorage",
        { name: "root", requestBytes: MiB, limitBytes: MiB },
      ],
      [
        "VirtualMachineService/CreateVirtualMachine",
        {
          name,
          requestCpuMilliCore: 100,
          limitCpuMilliCore: 2000,
          requestMemoryBytes: 128 * MiB,
          limitMemoryBytes: 128 * MiB,
          blockStorageNames: ["root"],
          nics: [{ networkName: "net" }],
        },
      ],
    ];
    for (const request of requests) await must(cluster.endpoint, request);
  });
  afterAll(() => opened.disposeAsync());

  /** As a person runs it. */
  function scan(): { code: number | null; printed: Printed } {
    const [place] = cluster.places;
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [
        join(PROJECT, "scripts/scan-host.ts"),
        ...["--prefix", place?.prefix ?? "", "--base-directory", place?.baseDirectory ?? ""],
        ...["--api-endpoint", cluster.endpoint],
      ],
      {
        encoding: "utf8",
        env: { ...process.env, N0CLI_TOKEN_FILE: cluster.tokenFile.path },
      },
    );
    expect(stderr).toBe("");
    return { code: status, printed: JSON.parse(stdout) as Printed };
  }

  test("a running virtual machine is clean, and n0cli and the tests' reader tell the same", async () => {
    const { code, printed } = scan();
    expect(printed.findings).toEqual([]);
    expect(code).toBe(0);
    const { hosts, records } = await scanHost(cluster.places, remoteReader(cluster.endpoint));
    expect(records).toEqual(printed.records);
    expect(Object.values(hosts)).toEqual([printed.host]);
  });

  test.each(DRIFTS)("$code is found, and nothing when it is put back", async (drift) => {
    const look = () => scanHost(cluster.places, remoteReader(cluster.endpoint));
    const clean = await look();
    const make = () => drift.make(cluster.places[0]!, name);
    make();
    try {
      const codesIn = ({ findings }: Awaited<ReturnType<typeof look>>) =>
        findings.map((finding) => finding.code);
      let seen = await look();
      if (drift.isSwept && !codesIn(seen).includes(drift.code)) {
        make();
        seen = await look();
      }
      const { records } = seen;
      const codes = codesIn(seen);
      // What libvirt tells at once the API may know as well by then: then its records differ.
      const isKnown = drift.code === "STATE_DIFFERS" && !codes.includes(drift.code);
      if (isKnown) expect(records).not.toEqual(clean.records);
      else expect(codes).toContain(drift.code);
      if (drift === DRIFTS[0]) expect(scan().code).toBe(3);
    } finally {
      drift.unmake(cluster.places[0]!, name);
    }
    await expect.poll(look, { timeout: 10_000 }).toEqual(clean);
  });

  test("without an API it could not look", () => {
    const { status, stderr } = spawnSync(
      process.execPath,
      [join(PROJECT, "scripts/scan-host.ts"), "--api-endpoint", "127.0.0.1:1"],
      { encoding: "utf8" },
    );
    expect(stderr).toMatch(/^scan-host: /);
    expect(status).toBe(1);
  });
});
