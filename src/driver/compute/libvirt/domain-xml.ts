import { N0Error } from "../../../util/errors.ts";
import { ownerOnNode } from "../../../util/ref.ts";
import type { Mark } from "../../mark.ts";
import type { Accelerator, DiskSpec, DomainInfo, DomainSpec, NicSpec } from "../domain.ts";
import type { DomainPaths } from "./domain-paths.ts";
import { findElement, findElements, parseXml, type XmlElement, escapeXml as x } from "./xml.ts";

/** The namespace of our element in `<metadata>`. */
export const METADATA_NAMESPACE = "urn:n0stack:domain:1";

/** The four places of the two IDE buses that the machine type `pc` has. */
const CDROMS_MAX = 4;

export interface DomainXmlInput {
  readonly spec: DomainSpec;
  readonly mark: Mark;
  /** Tells the instances on one node apart. libvirt's name of a domain is this prefix and `spec.name`. */
  readonly prefix: string;
  readonly paths: DomainPaths;
  readonly accelerator: Accelerator;
  /** The value of `<cputune><shares>`; undefined omits it. */
  readonly cpuShares: number | undefined;
  /** Whether QEMU can read what disks rest on. Then libvirt leaves the owners of these files alone. */
  readonly basesAreOpen: boolean;
}

/**
 * libvirt's description of a domain (https://libvirt.org/formatdomain.html).
 *
 * The machine type is `pc`, which starts faster than q35 and needs no port for each device. A network card has
 * no boot ROM, since nothing boots from the network. Nothing listens on TCP.
 *
 * @throws N0Error `failed_precondition` for more than four CD-ROMs.
 */
export function formatDomainXml(input: DomainXmlInput): string {
  const { spec, mark, prefix, paths, accelerator, cpuShares, basesAreOpen } = input;
  return `<domain type='${accelerator === "kvm" ? "kvm" : "qemu"}'>
  <name>${x(prefix + spec.name)}</name>
  <uuid>${x(spec.uuid)}</uuid>
  <metadata>
    <n0:domain xmlns:n0='${METADATA_NAMESPACE}' prefix='${x(prefix)}' owner='${x(mark.owner)}' transactionId='${x(mark.transactionId)}'/>
  </metadata>
  <memory unit='KiB'>${(spec.memoryBytes + 1023n) / 1024n}</memory>
  <vcpu placement='static'>${spec.vcpus}</vcpu>
  ${cpuShares === undefined ? "" : `<cputune><shares>${cpuShares}</shares></cputune>`}
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <features><acpi/><apic/></features>
  ${formatCpu(accelerator, spec.vcpus)}
  <clock offset='utc'/>
  <on_poweroff>destroy</on_poweroff>
  <on_reboot>restart</on_reboot>
  <on_crash>destroy</on_crash>
  <pm><suspend-to-mem enabled='no'/><suspend-to-disk enabled='no'/></pm>
  <devices>
${formatDisks(spec, basesAreOpen)}
${spec.nics.map(formatNic).join("\n")}
    <serial type='unix'>
      <source mode='bind' path='${x(paths.serialSocket)}'/>
      <log file='${x(paths.serialLog)}' append='on'/>
      <target type='isa-serial' port='0'/>
    </serial>
    <graphics type='vnc' socket='${x(paths.vncSocket)}'/>
    <video><model type='vga'/></video>
    <rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>
    <controller type='usb' model='none'/>
    <memballoon model='none'/>
  </devices>
</domain>
`;
}

/**
 * Under TCG the processor is a named model, the oldest with x86-64-v2, which current distributions need.
 * `maximum` would show AVX, which makes guests choose code that is slow to emulate.
 */
function formatCpu(accelerator: Accelerator, vcpus: number): string {
  const topology = `<topology sockets='1' dies='1' cores='${vcpus}' threads='1'/>`;
  return accelerator === "kvm"
    ? `<cpu mode='host-passthrough' check='none'>${topology}</cpu>`
    : `<cpu mode='custom' match='exact' check='none'><model fallback='allow'>Nehalem</model>${topology}</cpu>`;
}

function formatDisks({ name, disks }: DomainSpec, basesAreOpen: boolean): string {
  let diskCount = 0;
  let cdromCount = 0;
  const formatted = disks.map((disk, index) => {
    const isCdrom = disk.device === "cdrom";
    const target = isCdrom ? deviceLetters("hd", cdromCount++) : deviceLetters("vd", diskCount++);
    return formatDisk(disk, target, index + 1, basesAreOpen);
  });
  if (cdromCount > CDROMS_MAX) {
    throw new N0Error(
      "failed_precondition",
      `virtual machine "${name}" has ${cdromCount} cdroms and can have at most ${CDROMS_MAX}: detach some`,
      { resource: ownerOnNode("virtual_machine", name) },
    );
  }
  return formatted.join("\n");
}

function formatDisk(
  { path, format, device, backing }: DiskSpec,
  target: string,
  order: number,
  basesAreOpen: boolean,
): string {
  const isCdrom = device === "cdrom";
  return `    <disk type='file' device='${device}'>
      <driver name='qemu' type='${format}'${isCdrom ? "" : " discard='unmap' error_policy='enospace' rerror_policy='report'"}/>
      <source file='${x(path)}'/>${format === "qcow2" ? formatBacking(backing, basesAreOpen) : ""}
      <target dev='${target}' bus='${isCdrom ? "ide" : "virtio"}'/>
      <boot order='${order}'/>${isCdrom ? "<readonly/>" : ""}
    </disk>`;
}

/** The whole chain, so that libvirt does not read it from the files. */
function formatBacking([next, ...others]: readonly string[] = [], basesAreOpen: boolean): string {
  if (next === undefined) return "<backingStore/>";
  const format = "<format type='qcow2'/>";
  const label = basesAreOpen ? "<seclabel model='dac' relabel='no'/>" : "";
  const source = `<source file='${x(next)}'>${label}</source>`;
  return `<backingStore type='file'>${format}${source}${formatBacking(others, basesAreOpen)}</backingStore>`;
}

/** `a` … `z`, `aa`, `ab` …: as libvirt and Linux count disks. */
export function deviceLetters(head: string, index: number): string {
  let letters = "";
  for (let rest = index; rest >= 0; rest = Math.floor(rest / 26) - 1) {
    letters = String.fromCharCode(97 + (rest % 26)) + letters;
  }
  return head + letters;
}

/** `managed='no'`: we make the tap before, and move it into a network namespace later. */
export function formatNic({ tapName, hardwareAddress, pciSlot, mtu }: NicSpec): string {
  const size = mtu === undefined ? "" : `\n      <mtu size='${mtu}'/>`;
  return `    <interface type='ethernet'>${size}
      <mac address='${x(hardwareAddress)}'/>
      <target dev='${x(tapName)}' managed='no'/>
      <model type='virtio'/>
      <rom enabled='no'/>${pciSlot === undefined ? "" : formatSlot(pciSlot)}
    </interface>`;
}

function formatSlot(slot: number): string {
  return `
      <address type='pci' domain='0x0000' bus='0x00' slot='0x${slot.toString(16)}' function='0x0'/>`;
}

/** The name that libvirt gives the nic of an active domain; undefined if there is no nic of that address. */
export function aliasOfNic(xml: string, hardwareAddress: string): string | undefined {
  const nic = findElements(parseXml(xml), "devices", "interface").find((one) => {
    const address = findElement(one, "mac")?.attributes.get("address") ?? "";
    return address.toLowerCase() === hardwareAddress.toLowerCase();
  });
  if (nic === undefined) return undefined;
  return findElement(nic, "alias")?.attributes.get("name") ?? "";
}

/** The mark in our metadata element, from the XML of that element; undefined for another instance's. */
export function parseMark(element: XmlElement, prefix: string): Mark | undefined {
  const { attributes } = element;
  const owner = attributes.get("owner");
  const transactionId = attributes.get("transactionId");
  if (attributes.get("prefix") !== prefix || owner === undefined || transactionId === undefined) {
    return undefined;
  }
  return { owner, transactionId };
}

/** The domain as its XML describes it; undefined if it is not ours. The XML does not hold the state. */
export function parseDomainXml(xml: string, prefix: string): Omit<DomainInfo, "state"> | undefined {
  const domain = parseXml(xml);
  const libvirtName = findElement(domain, "name")?.text ?? "";
  const mark = findOurMark(domain, prefix);
  if (mark === undefined || !libvirtName.startsWith(prefix)) return undefined;
  return {
    name: libvirtName.slice(prefix.length),
    uuid: findElement(domain, "uuid")?.text ?? "",
    mark,
    vcpus: Number(findElement(domain, "vcpu")?.text),
    memoryBytes: BigInt(findElement(domain, "memory")?.text ?? "0") * 1024n,
    diskPaths: findElements(domain, "devices", "disk", "source").flatMap(
      ({ attributes }) => attributes.get("file") ?? [],
    ),
    nics: findElements(domain, "devices", "interface")
      .sort((one, other) => placeOf(one) - placeOf(other))
      .map((nic) => ({
        tapName: findElement(nic, "target")?.attributes.get("dev") ?? "",
        hardwareAddress: findElement(nic, "mac")?.attributes.get("address") ?? "",
        ...slotIn(nic),
        ...mtuIn(nic),
      })),
  };
}

const BUS = 0x100;

/** The order in which a guest finds its devices. libvirt lists a device that came later at the end. */
function placeOf(device: XmlElement): number {
  const { attributes } = findElement(device, "address") ?? {};
  return Number(attributes?.get("bus") ?? 0) * BUS + Number(attributes?.get("slot") ?? 0);
}

/** Undefined on another bus than the first one. */
function slotIn(nic: XmlElement): { readonly pciSlot?: number } {
  const place = placeOf(nic);
  return place === 0 || place >= BUS ? {} : { pciSlot: place };
}

function mtuIn(nic: XmlElement): { readonly mtu?: number } {
  const size = findElement(nic, "mtu")?.attributes.get("size");
  return size === undefined ? {} : { mtu: Number(size) };
}

function findOurMark(domain: XmlElement, prefix: string): Mark | undefined {
  for (const element of findElement(domain, "metadata")?.children ?? []) {
    const [, namespacePrefix] = /^(.*):domain$/.exec(element.name) ?? [];
    const declaration = namespacePrefix === undefined ? "xmlns" : `xmlns:${namespacePrefix}`;
    if (element.attributes.get(declaration) === METADATA_NAMESPACE)
      return parseMark(element, prefix);
  }
  return undefined;
}
