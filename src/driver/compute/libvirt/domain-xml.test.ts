import { expect, test } from "vitest";
import { domainPaths } from "./domain-paths.ts";
import {
  type DomainXmlInput,
  deviceLetters,
  formatDomainXml,
  parseDomainXml,
} from "./domain-xml.ts";
import { findElement, findElements, parseXml } from "./xml.ts";

const disk = { path: "/disks/a&b'<c>.qcow2", format: "qcow2", device: "disk" } as const;
const seed = { path: "/seed.iso", format: "raw", device: "cdrom" } as const;

const input: DomainXmlInput = {
  spec: {
    name: "web-1",
    uuid: "5f082185-9eed-4fcf-8391-b8a0d431e078",
    vcpus: 2,
    cpuMilliCores: 500,
    memoryBytes: 64n * 1024n * 1024n + 1n,
    disks: [disk, seed, { ...disk, path: "/data" }],
    nics: [{ tapName: "tap-1", hardwareAddress: "52:54:00:00:00:01" }],
  },
  mark: { owner: "virtual_machine/<'\"&>", transactionId: "tx" },
  prefix: "n0-",
  paths: domainPaths("/var/lib/n0core", "web-1"),
  accelerator: "tcg",
  cpuShares: 512,
  basesAreOpen: true,
};

test("what was formatted is read back as ours, and as nobody's under another prefix", () => {
  const xml = formatDomainXml(input);
  expect(parseDomainXml(xml, "n0-")).toEqual({
    name: "web-1",
    uuid: input.spec.uuid,
    mark: input.mark,
    vcpus: 2,
    memoryBytes: 64n * 1024n * 1024n + 1024n,
    diskPaths: input.spec.disks.map(({ path }) => path),
    nics: input.spec.nics,
  });
  expect(parseDomainXml(xml, "n0-web")).toBeUndefined();
  expect(parseDomainXml(xml, "")).toBeUndefined();
});

test("a domain without our mark, or with another's namespace, is not ours", () => {
  const name = "<name>n0-x</name>";
  expect(parseDomainXml(`<domain>${name}</domain>`, "n0-")).toBeUndefined();
  const attributes = "prefix='n0-' owner='o' transactionId='t'";
  const foreign = `<domain>${name}<metadata><a:domain xmlns:a='urn:other' ${attributes}/></metadata></domain>`;
  expect(parseDomainXml(foreign, "n0-")).toBeUndefined();
  expect(parseDomainXml(foreign.replace("urn:other", "urn:n0stack:domain:1"), "n0-")).toBeDefined();
});

test("disks boot in list order, and cdroms are read-only on their own bus", () => {
  const disks = findElements(parseXml(formatDomainXml(input)), "devices", "disk");
  const shown = disks.map((element) => [
    findElement(element, "target")?.attributes.get("dev"),
    findElement(element, "boot")?.attributes.get("order"),
    findElement(element, "readonly") !== undefined,
  ]);
  expect(shown).toEqual([
    ["vda", "1", false],
    ["hda", "2", true],
    ["vdb", "3", false],
  ]);
});

test("libvirt is told what a disk rests on, to the end, and looks into no file for it", () => {
  const overlay = { ...disk, backing: ["/disks/<base>", "/disks/root"] };
  const spec = { ...input.spec, disks: [disk, overlay, seed] };
  const xml = formatDomainXml({ ...input, spec });
  const backings = findElements(parseXml(xml), "devices", "disk").map((element) => {
    const files: string[] = [];
    let at = findElement(element, "backingStore");
    for (; at !== undefined && at.children.length > 0; at = findElement(at, "backingStore")) {
      files.push(findElement(at, "source")?.attributes.get("file") ?? "");
    }
    return at === undefined ? "looked for" : files;
  });
  expect(backings).toEqual([[], ["/disks/<base>", "/disks/root"], "looked for"]);
  const paths = [disk.path, disk.path, seed.path];
  expect(parseDomainXml(xml, "n0-")?.diskPaths).toEqual(paths);
});

test("libvirt leaves the owners of files alone that QEMU can read already", () => {
  const overlay = { ...disk, backing: ["/disks/base", "/disks/root"] };
  const spec = { ...input.spec, disks: [overlay] };
  const labels = (basesAreOpen: boolean) =>
    formatDomainXml({ ...input, spec, basesAreOpen }).match(
      /<source file='[^']*'><seclabel model='dac' relabel='no'\/>/g,
    );
  expect(labels(true)).toHaveLength(2);
  expect(labels(false)).toBeNull();
});

test("nothing listens on TCP, and sockets lie in the folder", () => {
  const xml = formatDomainXml(input);
  expect(xml).not.toMatch(/listen|port='(?!0')/);
  expect(xml).toContain("socket='/var/lib/n0core/vm/web-1/qemu/vnc'");
});

test("shares are left out where the node has none", () => {
  expect(formatDomainXml(input)).toContain("<shares>512</shares>");
  expect(formatDomainXml({ ...input, cpuShares: undefined })).not.toContain("cputune");
});

test("a fifth cdrom is refused", () => {
  const spec = { ...input.spec, disks: Array.from({ length: 5 }, () => seed) };
  expect(() => formatDomainXml({ ...input, spec })).toThrow("5 cdroms");
});

test("devices are counted as libvirt counts them", () => {
  expect([0, 25, 26, 51, 52, 701, 702].map((index) => deviceLetters("vd", index))).toEqual([
    "vda",
    "vdz",
    "vdaa",
    "vdaz",
    "vdba",
    "vdzz",
    "vdaaa",
  ]);
});
