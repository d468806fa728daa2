// Everything that somebody with root can break, on a real node: found, and repaired or left alone.
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { run } from "./compute-world.ts";
import { requirement } from "./requirements.ts";
import { ip, MIB, openRealCloud, type RealCloud, virsh } from "./verify-cloud.ts";

const isReady =
  requirement("root") && requirement("libvirt") && requirement("qemu-img") && requirement("netns");

describe.runIf(isReady)("verify on a real node", { timeout: 120_000 }, () => {
  let cloud: RealCloud;
  /** Runs; `cold` is shut down. */
  let web: string;
  let cold: string;
  let tap: string;
  let disks = 0;

  const volumeOf = async (name: string) =>
    (await cloud.blockStorages.getBlockStorage({ name })).volumeId;
  const fileOf = async (name: string) => `${cloud.volumes}/${await volumeOf(name)}.qcow2`;
  const newDisk = async () => {
    disks += 1;
    const name = `loose-${disks}`;
    const size = { requestBytes: MIB, limitBytes: 64n * MIB };
    await cloud.blockStorages.createBlockStorage({ name, ...size });
    return name;
  };
  const newMachine = async (name: string, disk: string) => {
    await cloud.blockStorages.createBlockStorage({
      name: disk,
      requestBytes: MIB,
      limitBytes: 64n * MIB,
    });
    await cloud.virtualMachines.createVirtualMachine({
      name,
      requestCpuMilliCore: 10,
      limitCpuMilliCore: 1000,
      requestMemoryBytes: 64n * MIB,
      limitMemoryBytes: 64n * MIB,
      blockStorageNames: [disk],
      nics: [{ networkName: "net" }],
    });
  };
  /** What is found after `drift`; then it is repaired, and nothing is left. */
  const expectRepaired = async (codes: readonly string[]) => {
    expect(await cloud.codes()).toEqual(codes);
    await cloud.repair();
    expect(await cloud.codes()).toEqual([]);
  };

  beforeAll(async () => {
    cloud = await openRealCloud();
    web = `w${cloud.id}`;
    cold = `c${cloud.id}`;
    await cloud.networks.applyNetwork({ name: "net", ipv4Cidr: "10.77.0.0/24" });
    await newMachine(web, "root");
    await newMachine(cold, "spare");
    await cloud.virtualMachines.shutdownVirtualMachine({ name: cold, hard: true });
    const { taps } = await cloud.drivers.network.survey(AbortSignal.timeout(30_000));
    tap = taps[0]?.name ?? "";
  }, 120_000);
  afterAll(async () => {
    await using _ = cloud;
    for (const name of [web, cold]) await cloud.virtualMachines.deleteVirtualMachine({ name });
    expect(await cloud.codes()).toEqual([]);
  }, 120_000);

  test("finds nothing where nothing was touched", async () => {
    expect(await cloud.codes()).toEqual([]);
  });

  test("a domain that was undefined is defined again, and boots", async () => {
    await virsh("undefine", cloud.domain(cold));
    await expectRepaired(["vm.without_domain"]);
    await cloud.virtualMachines.bootVirtualMachine({ name: cold });
    expect(await cloud.codes()).toEqual([]);
    await virsh("destroy", cloud.domain(cold));
    await expectRepaired(["vm.state_differs"]);
  });

  test("a definition that was edited is as it was", async () => {
    const xml = await virsh("dumpxml", "--inactive", cloud.domain(cold));
    const edited = `${cloud.baseDirectory}/edited.xml`;
    await writeFile(
      edited,
      xml
        .replace(/(<vcpu[^>]*>)1</, "$12<")
        .replace("cores='1'", "cores='2'")
        .replaceAll(/(<(?:memory|currentMemory) unit='KiB'>)\d+/g, "$198304")
        .replace(/<interface[\s\S]*<\/interface>/, ""),
    );
    await virsh("define", edited);
    await expectRepaired(["domain.cpu_differs", "domain.memory_differs", "domain.nics_differ"]);
    expect(await virsh("dumpxml", "--inactive", cloud.domain(cold))).toBe(xml);
  });

  test("a domain and a folder of nobody go", async () => {
    const { compute } = cloud.drivers;
    const markOf = (name: string) => ({ owner: `virtual_machine/${name}`, transactionId: "old" });
    const [ghost, folder] = [`g${cloud.id}`, `f${cloud.id}`];
    const shape = { vcpus: 1, cpuMilliCores: 10, memoryBytes: 64n * MIB, disks: [], nics: [] };
    const spec = { name: ghost, uuid: crypto.randomUUID(), ...shape };
    await compute.ensureStarted(spec, markOf(ghost), AbortSignal.timeout(30_000));
    await compute.ensureFolder(folder, markOf(folder));
    await expectRepaired(["domain.without_vm", "folder.without_vm"]);
  });

  test("a seed that is gone or says something else is written again", async () => {
    const seed = `${cloud.baseDirectory}/vm/${web}/seed.iso`;
    const before = await readFile(seed);
    await rm(seed);
    await expectRepaired(["vm.seed_missing"]);
    expect((await readFile(seed)).equals(before)).toBe(true);
    const text = before
      .toString("latin1")
      .replace(`local-hostname: ${web}`, "local-hostname: evil   ");
    await writeFile(seed, Buffer.from(text, "latin1"));
    await expectRepaired(["vm.seed_stale"]);
    expect((await readFile(seed)).equals(before)).toBe(true);
  });

  test("a sidecar that is gone or damaged is written again", async () => {
    const sidecar = (await fileOf(await newDisk())).replace(/qcow2$/, "json");
    await rm(sidecar);
    await expectRepaired(["volume.mark_lost"]);
    await writeFile(sidecar, "{");
    await expectRepaired(["volume.mark_lost"]);
    await rm(await fileOf("root").then((path) => path.replace(/qcow2$/, "json")));
    await expectRepaired(["volume.mark_lost"]);
  });

  test("a file that is too small grows; a record takes the size of a larger one", async () => {
    const name = await newDisk();
    await run("qemu-img", "resize", "-q", await fileOf(name), "128M");
    await expectRepaired(["disk.size_differs"]);
    const { limitBytes } = await cloud.blockStorages.getBlockStorage({ name });
    expect(limitBytes).toBe(128n * MIB);
    await run("qemu-img", "resize", "-q", "--shrink", await fileOf("spare"), "32M");
    await expectRepaired(["disk.size_differs"]);
    const info: unknown = JSON.parse(
      await run("qemu-img", "info", "--output=json", await fileOf("spare")),
    );
    expect(info).toMatchObject({ "virtual-size": Number(64n * MIB) });
  });

  test("a volume without a record becomes a deleted disk; a part of one goes", async () => {
    const mark = { owner: "block_storage/ghost", transactionId: "long-ago" };
    const signal = AbortSignal.timeout(30_000);
    await cloud.drivers.volume.ensureEmpty("ghost.0123456789ab", 64n * MIB, mark, signal);
    await writeFile(`${cloud.volumes}/.half.0123456789ab.token.partial`, "half");
    await expectRepaired(["volume.without_record", "volume.left_over"]);
    await cloud.blockStorages.purgeBlockStorage({ name: "ghost" });
    expect(await cloud.codes()).toEqual([]);
  });

  test("an overlay that rests on something else: the record takes what the file says", async () => {
    const [base, over] = [await newDisk(), await newDisk()];
    const backing = `${await volumeOf(base)}.qcow2`;
    await run("qemu-img", "rebase", "-q", "-u", "-F", "qcow2", "-b", backing, await fileOf(over));
    expect(await cloud.codes()).toEqual(["disk.backing_differs"]);
    await cloud.repair();
    expect(await cloud.codes()).toEqual([]);
    const { baseVolumeId } = await cloud.blockStorages.getBlockStorage({ name: over });
    expect(baseVolumeId).toBe(await volumeOf(base));
    await run("mv", await fileOf(base), `${cloud.baseDirectory}/kept`);
    expect(await cloud.codes()).toEqual(["disk.without_volume", "disk.backing_missing"]);
    await cloud.repair();
    expect(await cloud.codes()).toEqual(["disk.without_volume", "disk.backing_missing"]);
    await run("mv", `${cloud.baseDirectory}/kept`, await fileOf(base));
    expect(await cloud.codes()).toEqual([]);
  });

  test("a disk whose file is no qcow2 is told and never touched", async () => {
    const path = await fileOf(await newDisk());
    const before = await readFile(path);
    await writeFile(path, "precious");
    expect(await cloud.codes()).toEqual(["disk.damaged"]);
    await cloud.repair();
    expect(await readFile(path, "utf8")).toBe("precious");
    await writeFile(path, before);
    expect(await cloud.codes()).toEqual([]);
  });

  test("a tap off its bridge, down, outside, or in another network is brought back", async () => {
    const { netns } = cloud;
    await ip("-n", netns, "link", "set", "dev", tap, "nomaster");
    await expectRepaired(["tap.not_connected"]);
    await ip("-n", netns, "link", "set", "dev", tap, "down");
    await expectRepaired(["tap.not_connected"]);
    await ip("-n", netns, "link", "set", "dev", tap, "netns", `${process.pid}`);
    await expectRepaired(["tap.elsewhere"]);
    const other = `${cloud.prefix}other`;
    await ip("netns", "add", other);
    await ip("-n", netns, "link", "set", "dev", tap, "netns", other);
    await expectRepaired(["tap.elsewhere"]);
    expect(await ip("netns", "list")).not.toContain(other);
  });

  test("a bridge that is gone or down, another gateway, and lost metadata are made again", async () => {
    const { netns, bridge } = cloud;
    await ip("-n", netns, "link", "delete", "dev", bridge);
    await expectRepaired(["network.bridge_broken", "tap.not_connected"]);
    await ip("-n", netns, "link", "set", "dev", bridge, "down");
    await expectRepaired(["network.bridge_broken"]);
    await ip("-n", netns, "address", "flush", "dev", bridge);
    await ip("-n", netns, "address", "add", "10.9.9.9/24", "dev", bridge);
    await expectRepaired(["network.gateway_differs"]);
    await ip("-n", netns, "address", "delete", "169.254.169.254/32", "dev", bridge);
    await expectRepaired(["network.metadata_broken"]);
  });

  test("an uplink without its device, its address or its route is made again", async () => {
    const { netns } = cloud;
    await ip("-n", netns, "link", "delete", "dev", "up0");
    await expectRepaired(["network.uplink_broken"]);
    await ip("-n", netns, "address", "flush", "dev", "up0");
    await expectRepaired(["network.uplink_broken"]);
    await ip("-n", netns, "route", "delete", "default");
    await expectRepaired(["network.uplink_broken"]);
  });

  test("rules that were flushed, deleted or added to are applied again", async () => {
    const { netns, nodeTable } = cloud;
    const inside = (...args: string[]) => ip("netns", "exec", netns, "nft", ...args);
    const before = await inside("list", "table", "inet", "n0stack");
    await inside("flush", "table", "inet", "n0stack");
    await expectRepaired(["network.rules_broken"]);
    await inside("delete", "table", "inet", "n0stack");
    await expectRepaired(["network.rules_broken"]);
    await inside("insert", "rule", "inet", "n0stack", "forward", "accept");
    await expectRepaired(["network.rules_broken"]);
    expect(await inside("list", "table", "inet", "n0stack")).toBe(before);
    await run("nft", "delete", "table", "inet", nodeTable);
    await expectRepaired(["node.rules_broken"]);
    await run("nft", "insert", "rule", "inet", nodeTable, "forward", "accept");
    await expectRepaired(["node.rules_broken"]);
  });

  test("a filter that is gone, or lets another address pass, is made again", async () => {
    const { netns } = cloud;
    const filters = (...args: string[]) => ip("netns", "exec", netns, "nft", ...args);
    const table = ["bridge", "n0stack"];
    const before = await filters("list", "table", ...table);
    await filters("add", "element", ...table, "ipv4", `{ "${tap}" . 10.77.0.99 }`);
    // Groups know the guest by the addresses of its filter.
    await expectRepaired(["tap.filter_differs", "tap.groups_differ"]);
    await filters("flush", "set", ...table, "macs");
    await expectRepaired(["tap.filter_differs", "tap.groups_differ"]);
    await filters("flush", "chain", ...table, "prerouting");
    await expectRepaired(["network.rules_broken"]);
    await filters("add", "element", ...table, "ports", '{ "gone0" }');
    await expectRepaired(["network.rules_broken"]);
    await filters("delete", "table", ...table);
    await expectRepaired(["network.rules_broken", "tap.filter_differs", "tap.groups_differ"]);
    expect(await filters("list", "table", ...table)).toBe(before);
  });

  test("a tap that is gone is for a boot to make", async () => {
    await ip("-n", cloud.netns, "link", "delete", "dev", tap);
    expect(await cloud.codes()).toEqual(["tap.missing"]);
    await cloud.repair();
    expect(await cloud.codes()).toContain("tap.missing");
    await cloud.virtualMachines.shutdownVirtualMachine({ name: web, hard: true });
    await cloud.virtualMachines.bootVirtualMachine({ name: web });
    expect(await cloud.codes()).toEqual([]);
  });

  test("taps, names and uplinks of nobody go", async () => {
    const mark = { owner: "virtual_machine/ghost", transactionId: "long-ago" };
    const ghost = `g${cloud.id}0`;
    await cloud.drivers.network.ensureTap(ghost, mark, AbortSignal.timeout(30_000));
    await ip("netns", "add", `${cloud.prefix}empty`);
    const stray = `s${cloud.id}0`;
    await ip("link", "add", "name", stray, "type", "veth", "peer", "name", `s${cloud.id}1`);
    await ip("link", "set", "dev", stray, "alias", `n0stack:${cloud.prefix}:network/away:long-ago`);
    await expectRepaired(["tap.without_owner", "network.without_owner", "uplink.without_owner"]);
    expect(await ip("link")).not.toContain(cloud.id.concat("0"));
  });

  test("what is not ours is neither told of nor touched", async () => {
    const { id, prefix, baseDirectory, volumes } = cloud;
    const [bridge, netns] = [`b${id}`, `x${id}`];
    await ip("link", "add", "name", bridge, "type", "bridge");
    await ip("tuntap", "add", "dev", `u${id}`, "mode", "tap");
    await ip("netns", "add", netns);
    // It even begins as ours do; what is in it is not ours.
    await ip("netns", "add", `${prefix}theirs`);
    await ip("-n", `${prefix}theirs`, "link", "add", "name", "br0", "type", "bridge");
    await run("nft", "add", "table", "inet", `theirs-${id}`);
    await writeFile(`${volumes}/theirs.qcow2`, "theirs");
    await writeFile(`${volumes}/theirs.json`, "{}");
    await mkdir(`${baseDirectory}/vm/theirs`);
    const uuid = crypto.randomUUID();
    const xml = `<domain type='qemu'><name>${prefix}theirs</name><uuid>${uuid}</uuid><memory unit='MiB'>64</memory>
      <os><type arch='x86_64' machine='pc'>hvm</type></os></domain>`;
    await writeFile(`${baseDirectory}/theirs.xml`, xml);
    await virsh("define", `${baseDirectory}/theirs.xml`);
    const look = async () => [
      (await ip("-json", "link", "show", "dev", bridge)).length > 0,
      (await ip("-json", "link", "show", "dev", `u${id}`)).length > 0,
      (await ip("netns", "list"))
        .split("\n")
        .filter((line) => line.includes(id))
        .sort(),
      await ip("-n", `${prefix}theirs`, "link"),
      await run("nft", "list", "table", "inet", `theirs-${id}`),
      await readFile(`${volumes}/theirs.qcow2`, "utf8"),
      await readFile(`${volumes}/theirs.json`, "utf8"),
      await virsh("dumpxml", uuid),
    ];
    try {
      const before = await look();
      expect(await cloud.codes()).toEqual([]);
      await cloud.repair();
      expect(await look()).toEqual(before);
    } finally {
      await virsh("undefine", uuid);
      await run("nft", "delete", "table", "inet", `theirs-${id}`);
      for (const name of [netns, `${prefix}theirs`]) await ip("netns", "delete", name);
      for (const device of [bridge, `u${id}`]) await ip("link", "delete", "dev", device);
    }
  });
});
