import { copyFile, mkdir, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { requirement } from "../node/requirements.ts";
import { type Clients, openClients } from "./clients.ts";
import { newPlace, type Place } from "./place.ts";
import { must, run } from "./program.ts";
import { filesBelow, recordKeys, scan } from "./scan.ts";
import { type Cli, newCli, nodeFlags, type Server, startServer, untilReady } from "./server.ts";

const isPossible =
  requirement("root") && requirement("libvirt") && requirement("netns") && requirement("qemu-img");
/** Holds the tiny image (19 MB) twice: as it comes, and as it is converted. */
const DISK_OF_NODE = "48m";
/** With it the disk holds the image once, and not twice. */
const FILLER_BYTES = 16 * 2 ** 20;

describe.runIf(isPossible)("bad input to a standalone server", () => {
  const opened = new AsyncDisposableStack();
  let place: Place;
  let server: Server;
  let cli: Cli;
  let clients: Clients;

  beforeAll(async () => {
    place = opened.use(await newPlace());
    const folder = volumesFolder();
    await mkdir(folder);
    await must("mount", ["-t", "tmpfs", "-o", `size=${DISK_OF_NODE},mode=755`, "none", folder]);
    opened.defer(async () => void (await run("umount", [folder])));
    server = await startServer(place, {
      role: "standalone",
      // What is given away is more than there is: it fills up before its time.
      flags: ["--name", "node-1", "--storage-capacity-bytes", "1TiB", ...nodeFlags(place)],
    });
    opened.defer(async () => void (await server.stop()));
    cli = newCli(server, place);
    clients = opened.use(openClients(server));
    await untilReady(cli, 1);
  });
  afterAll(() => opened.disposeAsync());

  const volumesFolder = () => join(place.baseDirectory, "volumes");
  const image = (name: string) => join(place.baseDirectory, "images", name);
  const sizes = ["--request_bytes", "1MiB", "--limit_bytes", "1GiB"];
  const fetchImage = (name: string, path: string) =>
    cli.run("bs", "fetch", name, "--source_url", `file://${path}`, ...sizes);

  /** Names of all disks there are, in the API and on the node. */
  async function disks(): Promise<readonly string[]> {
    const { blockStorages } = await clients.disks.listBlockStorages({});
    return [...blockStorages.map(({ name }) => name), ...(await filesBelow(volumesFolder()))];
  }

  const IMAGES: readonly [string, (path: string) => Promise<unknown>, RegExp][] = [
    [
      "with a backing file",
      async (path) => {
        const backing = ["-b", "/etc/passwd", "-F", "raw"];
        await must("qemu-img", ["create", "-q", "-f", "qcow2", ...backing, path, "1M"]);
      },
      /backing file/,
    ],
    [
      "with an external data file",
      async (path) => {
        const options = ["-o", `data_file=${path}.raw,data_file_raw=on`];
        await must("qemu-img", ["create", "-q", "-f", "qcow2", ...options, path, "1M"]);
      },
      /data file/,
    ],
    [
      "that is a vmdk which points elsewhere",
      (path) => writeFile(path, VMDK),
      /\/etc\/passwd|vmdk/,
    ],
    [
      "that is truncated",
      async (path) => {
        await copyFile(image("tiny.qcow2"), path);
        await truncate(path, 5_000_000);
      },
      /truncated|ends|beyond/,
    ],
    [
      "of 10 TiB",
      (path) => must("qemu-img", ["create", "-q", "-f", "qcow2", path, "10T"]),
      /10995116277760 bytes/,
    ],
  ];

  test.each(IMAGES)("an image %s is refused, and no file is left", async (_, make, message) => {
    const path = image("bad.img");
    await make(path);
    const { code, stderr } = await fetchImage("bad", path);
    expect(`${code} ${stderr}`).toMatch(/^6 \[FailedPrecondition\]/);
    expect(stderr).toMatch(message);
    expect(await disks()).toEqual([]);
  });

  test("a file from a folder that is not allowed is refused", async () => {
    for (const path of ["/etc/passwd", image("../../../etc/passwd")]) {
      const { code, stderr } = await fetchImage("bad", path);
      expect(`${code} ${stderr}`).toMatch(/^[26] \[(?:FailedPrecondition|InvalidArgument)\]/);
    }
    expect(await disks()).toEqual([]);
  });

  test("a disk that fills up in the middle of a copy leaves nothing", async () => {
    const made = await fetchImage("whole", image("tiny.qcow2"));
    expect(`${made.code} ${made.stderr}`).toMatch(/^0 /);
    const filler = join(volumesFolder(), "filler");
    await writeFile(filler, Buffer.alloc(FILLER_BYTES));
    const before = await disks();
    const source = ["--source_block_storage", "whole"];
    const { code, stderr } = await cli.run("bs", "copy", "half", ...source, ...sizes, "--no-wait");
    // The write that finds no room ends it, or the look at the free space four times a second, if that comes first.
    expect(`${code} ${stderr}`).toMatch(/^7 \[ResourceExhausted\].*(is full|has no room)/);
    expect(await disks()).toEqual(before);
    await rm(filler);
    // The node is as good as it was.
    await cli.must("bs", "create", "small", ...sizes);
    for (const name of ["small", "whole"]) {
      await cli.must("bs", "delete", name);
      await cli.must("bs", "purge", name);
    }
    expect(await disks()).toEqual([]);
  });

  const name = (value: string) => ["network", "apply", value, "--ipv4_cidr", "10.95.0.0/24"];
  const machine = (...more: readonly string[]) => [
    ...["vm", "create", "bad", "--request_cpu_milli_core", "100", "--limit_cpu_milli_core", "1000"],
    ...["--request_memory_bytes", "64MiB", "--limit_memory_bytes", "64MiB", ...more],
  ];
  const KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIinYbKk2J4sK7Ffu9t+LW8nD2zQ+qxwTboYFZ0sFhXs x";

  test.each<[string, readonly string[], RegExp]>([
    ["a name with a slash", name("a/b"), /name/],
    ["a name that climbs", name(".."), /name/],
    ["a name with a quote", name("a'b"), /name/],
    ["a name with a space", name("a b"), /name/],
    ["an empty name", name(""), /name/],
    ["a name of 200 characters", name("a".repeat(200)), /name/],
    ["an SSH key that is none", machine("--ssh_authorized_keys", "rubbish"), /ssh_authorized_keys/],
    [
      "an SSH key with a second line",
      machine("--ssh_authorized_keys", `${KEY}\nruncmd: [reboot]`),
      /ssh_authorized_keys/,
    ],
    [
      "a user name that would break user-data",
      machine("--login_username", "n0: {}\nruncmd", "--ssh_authorized_keys", KEY),
      /login_username/,
    ],
  ])("%s is refused, and nothing is written", async (_, args, field) => {
    const { code, stderr } = await cli.run(...args);
    expect(`${code} ${stderr}`).toMatch(/^2 \[InvalidArgument\]/);
    expect(stderr).toMatch(field);
    expect((await clients.networks.listNetworks({})).networks).toEqual([]);
    expect((await clients.machines.listVirtualMachines({})).virtualMachines).toEqual([]);
  });

  const NETWORK = "type: network, action: ApplyNetwork";
  const good = `good: { ${NETWORK}, args: { name: good, ipv4_cidr: 10.95.0.0/24 } }\n`;
  test.each<[string, string, string]>([
    ["an unknown field", `${good}b: { ${NETWORK}, args: { nmae: x } }\n`, "2:51"],
    ["a wrong type", `${good}b: { ${NETWORK}, args: { name: [x] } }\n`, "2:57"],
    ["an unknown action", `${good}b: { type: network, action: Aply }\n`, "2:29"],
    ["a missing dependency", `${good}b: { ${NETWORK}, depends_on: [c] }\n`, "2:56"],
    ["a cycle", `${good}b: { ${NETWORK}, args: { name: b }, depends_on: [b] }\n`, "2:\\d+"],
    ["a task that is there twice", `${good}${good}`, "2:1"],
    ["an empty file", "", "1:1"],
    ["ten megabytes of aliases", `${good}x: &a 1\nb: [${"*a,".repeat(3_500_000)}]`, "1:1"],
  ])("a task file with %s runs nothing, and says where", async (_, yaml, at) => {
    const file = join(place.baseDirectory, "test", "bad.yaml");
    await writeFile(file, yaml);
    const { code, stdout, stderr } = await cli.run("do", file);
    expect(stderr).toMatch(new RegExp(`${file.replaceAll(".", "\\.")}:${at}: `));
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr).not.toContain("is started");
    expect((await clients.networks.listNetworks({})).networks).toEqual([]);
  });

  test("nothing of all this is left", async () => {
    const { domains, namespaces, links } = await scan(place.prefix);
    expect([...domains, ...namespaces, ...links]).toEqual([]);
    expect(await server.stop()).toBe(0);
    expect(recordKeys(place.baseDirectory)).toEqual(["node//node-1"]);
    expect(server.log().filter(({ level }) => level === "error")).toEqual([]);
  });
});

/** A disk whose data is a file of the node's. */
const VMDK = `# Disk DescriptorFile
version=1
CID=fffffffe
parentCID=ffffffff
createType="monolithicFlat"
RW 2 FLAT "/etc/passwd" 0
ddb.virtualHWVersion = "4"
ddb.geometry.cylinders = "1"
ddb.geometry.heads = "16"
ddb.geometry.sectors = "63"
ddb.adapterType = "ide"
`;
