import { existsSync, rmSync } from "node:fs";
import { N0Error } from "../../../util/errors.ts";
import { ownerOnNode } from "../../../util/ref.ts";
import { isMadeBy, type Maker, type Mark } from "../../mark.ts";
import { isActive, isPaused } from "../active.ts";
import type { DomainInfo, DomainSpec, DomainState } from "../compute-driver.ts";
import { refuseLeftover } from "../leftover.ts";
import { refuseDeaf } from "../power-button.ts";
import type { Libvirt, Pointer } from "./bindings.ts";
import { cpuShares } from "./cpu-shares.ts";
import { domainPaths } from "./domain-paths.ts";
import { toDomainState } from "./domain-state.ts";
import { formatDomainXml, METADATA_NAMESPACE, parseDomainXml, parseMark } from "./domain-xml.ts";
import { ensureMarkedFolder, readFolderMark } from "./folder-mark.ts";
import { countOomKills, readLastLineOfQemu } from "./last-words.ts";
import { quote, toN0Error, VIR_ERR } from "./libvirt-error.ts";
import { libvirtFiles, removeLog } from "./libvirt-files.ts";
import { ensureQemuFolder } from "./machine-folder.ts";
import type { QemuEnder } from "./qemu-process.ts";
import type { DriverSettings, Operation, QemuUser } from "./worker-protocol.ts";
import { parseXml } from "./xml.ts";

/** libvirt/libvirt-domain.h */
const METADATA_ELEMENT = 2;
const START_PAUSED = 1;
const ACPI_POWER_BUTTON = 1;
const BLOCK_RESIZE_BYTES = 1;
const UNDEFINE_MANAGED_SAVE = 1;
const UNDEFINE_SNAPSHOTS_METADATA = 2;
const UNDEFINE_NVRAM = 4;
const UNDEFINE_CHECKPOINTS_METADATA = 16;
const UNDEFINE_ALL =
  UNDEFINE_MANAGED_SAVE |
  UNDEFINE_SNAPSHOTS_METADATA |
  UNDEFINE_NVRAM |
  UNDEFINE_CHECKPOINTS_METADATA;

export interface OperationContext {
  readonly libvirt: Libvirt;
  readonly connection: Pointer;
  readonly settings: DriverSettings;
  readonly qemuUser: QemuUser | undefined;
  readonly qemu: QemuEnder;
}

/** Does one operation. Synchronous: libvirt keeps the error of a call for the thread that made it. */
export function runOperation(context: OperationContext, operation: Operation): unknown {
  switch (operation.kind) {
    case "require_new":
      return requireNew(context, operation.name, operation.mark);
    case "start":
      return start(context, operation.spec, operation.mark);
    case "define":
      return redefine(context, operation.spec, operation.mark);
    case "resume":
      return resume(context, operation.name);
    case "pause":
      return pause(context, operation.name);
    case "shutdown":
      return press(context, "shut down", operation.name, context.libvirt.domainShutdown);
    case "reset":
      return withActive(context, "reset", operation.name, (domain) =>
        context.libvirt.domainReset(domain, 0),
      );
    case "reboot":
      return press(context, "reboot", operation.name, context.libvirt.domainReboot);
    case "off":
      return withDomain(
        context,
        "stop",
        operation.name,
        (found) => found?.mark && powerOff(context, found),
      );
    case "remove":
      return remove(context, operation.name, operation.maker);
    case "observe":
      return withDomain(context, "look at", operation.name, (found) =>
        found?.mark === undefined ? "absent" : found.state,
      );
    case "grow":
      return grow(context, operation.name, operation.path, operation.sizeBytes);
    case "undo_grow":
      return undoGrow(context, operation);
    case "list":
      return list(context);
  }
}

interface FoundDomain {
  readonly name: string;
  readonly pointer: Pointer;
  readonly state: DomainState;
  /** Undefined: not ours. */
  readonly mark: Mark | undefined;
}

function requireNew(context: OperationContext, name: string, mark: Mark): void {
  withDomain(context, "look at", name, (found) => {
    if (found !== undefined) refuseForeign(found);
    refuseLeftover("domain", name, found?.mark, mark);
    const { folder } = domainPaths(context.settings.baseDirectory, name);
    refuseLeftover("folder", name, readFolderMark(folder), mark);
  });
}

function start(context: OperationContext, spec: DomainSpec, mark: Mark): void {
  withDomain(context, "start", spec.name, (found) => {
    if (found !== undefined) refuseForeign(found);
    if (found !== undefined && isActive(found.state)) return;
    requireParts(spec);
    prepareFolder(context, spec.name, mark);
    const domain = define(context, spec, mark, found);
    try {
      create(context, spec.name, domain);
    } finally {
      context.libvirt.domainFree(domain);
    }
  });
}

function create({ libvirt, settings }: OperationContext, name: string, domain: Pointer): void {
  const oomKills = countOomKills();
  if (libvirt.domainCreate(domain, START_PAUSED) >= 0) return;
  const error = libvirt.lastError();
  const logLine = readLastLineOfQemu(libvirtFiles(settings.prefix, name).log);
  const hasLackedMemory = countOomKills() > oomKills;
  throw toN0Error("start", name, error, { logLine, hasLackedMemory });
}

function redefine(context: OperationContext, spec: DomainSpec, mark: Mark): void {
  withDomain(context, "define", spec.name, (found) => {
    if (found !== undefined) {
      refuseForeign(found);
      if (isActive(found.state)) throw wrongState(spec.name, "is active: shut it down first");
    }
    context.libvirt.domainFree(define(context, spec, mark, found));
  });
}

/** Answers a domain that the caller must free. */
function define(
  context: OperationContext,
  spec: DomainSpec,
  mark: Mark,
  old: FoundDomain | undefined,
): Pointer {
  const { libvirt, connection, settings } = context;
  // libvirt refuses to change the uuid of a name. Whoever dies in between leaves nothing; the next try defines.
  if (old !== undefined && uuidOf(libvirt, old.pointer) !== spec.uuid.toLowerCase()) {
    check(context, "redefine", spec.name, libvirt.domainUndefine(old.pointer, UNDEFINE_ALL));
  }
  const { prefix, baseDirectory, accelerator, cpuController } = settings;
  const paths = domainPaths(baseDirectory, spec.name);
  const shares = cpuShares(cpuController, spec.cpuMilliCores);
  // A definition that is replaced stays the work of the transaction that made the domain.
  const kept = old?.mark?.owner === mark.owner ? old.mark : mark;
  const xml = formatDomainXml({ spec, mark: kept, prefix, paths, accelerator, cpuShares: shares });
  const domain = libvirt.domainDefineXml(connection, xml, 0);
  if (domain === null) throw toN0Error("define", spec.name, libvirt.lastError());
  return domain;
}

function prepareFolder({ settings, qemuUser }: OperationContext, name: string, mark: Mark): void {
  const { folder, qemuFolder, formerVncSocket } = domainPaths(settings.baseDirectory, name);
  ensureMarkedFolder(folder, mark);
  rmSync(formerVncSocket, { force: true });
  ensureQemuFolder(qemuFolder, qemuUser);
}

/** libvirt's own words for these name paths, and come only after half a start. */
function requireParts({ name, disks, nics }: DomainSpec): void {
  const missing = [
    ...disks.flatMap(({ path, backing = [] }, index) =>
      [path, ...backing].map((file) => ({ what: `disks[${index}]`, path: file })),
    ),
    ...nics.map(({ tapName }, index) => ({
      what: `nics[${index}]`,
      path: `/sys/class/net/${tapName}`,
    })),
  ].find(({ path }) => !existsSync(path));
  if (missing === undefined) return;
  throw new N0Error(
    "failed_precondition",
    `${missing.what} of virtual machine "${name}" is missing on the node: make it first`,
    {
      resource: ownerOnNode("virtual_machine", name),
      field: missing.what,
      cause: new Error(`no such file: ${missing.path}`),
    },
  );
}

function resume(context: OperationContext, name: string): void {
  withActive(context, "resume", name, (domain, state) =>
    state === "running" ? 0 : context.libvirt.domainResume(domain),
  );
}

function pause(context: OperationContext, name: string): void {
  withActive(context, "pause", name, (domain, state) =>
    isPaused(state) ? 0 : context.libvirt.domainSuspend(domain),
  );
}

function press(
  context: OperationContext,
  action: string,
  name: string,
  call: (domain: Pointer, flags: number) => number,
): void {
  withActive(context, action, name, (domain, state) => {
    refuseDeaf(name, state);
    return call(domain, ACPI_POWER_BUTTON);
  });
}

function powerOff(context: OperationContext, found: FoundDomain): void {
  if (!isActive(found.state)) return;
  const { libvirt, qemu, settings } = context;
  const { pidFile } = libvirtFiles(settings.prefix, found.name);
  qemu.end(pidFile, uuidOf(libvirt, found.pointer));
  const answer = libvirt.domainDestroy(found.pointer, 0);
  if (answer < 0 && !hasGone(context)) {
    throw toN0Error("stop", found.name, libvirt.lastError());
  }
}

/**
 * The folder is ours because it lies below our base, whether or not there is a domain; its own mark tells
 * whose. Where a domain that is not the maker's uses it, it stays. It goes last: while it is there, a
 * removal that died is known to be unfinished.
 */
function remove(context: OperationContext, name: string, maker: Maker): void {
  const { baseDirectory, prefix } = context.settings;
  const { folder } = domainPaths(baseDirectory, name);
  const left = withDomain(context, "remove", name, (found) => {
    if (found === undefined) return "nothing";
    // Not ours, or someone has taken our mark off.
    if (found.mark === undefined) {
      const xml = context.libvirt.domainGetXmlDesc(found.pointer, 0);
      return xml?.includes(`${folder}/`) === true ? "user of the folder" : "another's";
    }
    if (!isMadeBy(found.mark, maker)) return "user of the folder";
    powerOff(context, found);
    const answer = context.libvirt.domainUndefine(found.pointer, UNDEFINE_ALL);
    if (answer < 0 && !hasGone(context)) {
      throw toN0Error("remove", name, context.libvirt.lastError());
    }
    return "nothing";
  });
  const made = readFolderMark(folder);
  if (left === "user of the folder" || (made !== undefined && !isMadeBy(made, maker))) return;
  if (!existsSync(folder)) return;
  if (left === "nothing") removeLog(libvirtFiles(prefix, name));
  // Opens folder by folder and follows no link, whatever QEMU's user may still put into its own.
  rmSync(folder, { recursive: true, force: true });
}

/** After a failed call: it failed because the domain stopped or went away by itself just now. */
function hasGone({ libvirt }: OperationContext): boolean {
  const code = libvirt.lastError()?.code;
  return code === VIR_ERR.noDomain || code === VIR_ERR.operationInvalid;
}

function grow(context: OperationContext, name: string, path: string, sizeBytes: bigint): void {
  withActive(context, "grow a disk of", name, (domain) => {
    // QEMU would shrink it, and the data with it.
    if (capacityOf(context, domain, name, path) > sizeBytes)
      throw wrongState(name, "has a disk larger than that: a disk only grows");
    return context.libvirt.domainBlockResize(domain, path, sizeBytes, BLOCK_RESIZE_BYTES);
  });
}

type UndoGrow = Extract<Operation, { readonly kind: "undo_grow" }>;

function undoGrow(context: OperationContext, { name, path, fromBytes, toBytes }: UndoGrow): void {
  withActive(context, "shrink a disk of", name, (domain) =>
    capacityOf(context, domain, name, path) === toBytes
      ? context.libvirt.domainBlockResize(domain, path, fromBytes, BLOCK_RESIZE_BYTES)
      : 0,
  );
}

/** How large the guest sees the disk, in bytes. */
function capacityOf(
  context: OperationContext,
  domain: Pointer,
  name: string,
  path: string,
): bigint {
  const info = new BigUint64Array(3);
  const answer = context.libvirt.domainGetBlockInfo(domain, path, info, 0);
  check(context, "look at a disk of", name, answer);
  return info[0]!;
}

function list({ libvirt, connection, settings }: OperationContext): DomainInfo[] {
  const pointers = libvirt.listAllDomains(connection);
  if (pointers === undefined) throw toN0Error("list", undefined, libvirt.lastError());
  try {
    return pointers.flatMap((pointer) => {
      if (!libvirt.domainGetName(pointer).startsWith(settings.prefix)) return [];
      const xml = libvirt.domainGetXmlDesc(pointer, 0);
      const state = libvirt.domainGetState(pointer);
      // Removed since the list was made. Anything worse fails the next call as well.
      if (xml === null || state === undefined) return [];
      const info = parseDomainXml(xml, settings.prefix);
      return info === undefined ? [] : [{ ...info, state: toDomainState(state) }];
    });
  } finally {
    for (const pointer of pointers) libvirt.domainFree(pointer);
  }
}

/** Looks the domain up, hands it to `use` and frees it. */
function withDomain<T>(
  { libvirt, connection, settings }: OperationContext,
  action: string,
  name: string,
  use: (found: FoundDomain | undefined) => T,
): T {
  const pointer = libvirt.domainLookupByName(connection, settings.prefix + name);
  if (pointer === null) {
    const error = libvirt.lastError();
    if (error?.code === VIR_ERR.noDomain) return use(undefined);
    throw toN0Error(action, name, error);
  }
  try {
    const state = libvirt.domainGetState(pointer);
    const element = libvirt.domainGetMetadata(pointer, METADATA_ELEMENT, METADATA_NAMESPACE, 0);
    const error = element === null || state === undefined ? libvirt.lastError() : undefined;
    if (error?.code === VIR_ERR.noDomain) return use(undefined);
    if (state === undefined || (element === null && error?.code !== VIR_ERR.noDomainMetadata)) {
      throw toN0Error(action, name, error);
    }
    const mark = element === null ? undefined : parseMark(parseXml(element), settings.prefix);
    return use({ name, pointer, state: toDomainState(state), mark });
  } finally {
    libvirt.domainFree(pointer);
  }
}

/** @throws N0Error `failed_precondition` unless the domain is ours and active. */
function withActive(
  context: OperationContext,
  action: string,
  name: string,
  use: (domain: Pointer, state: DomainState) => number,
): void {
  withDomain(context, action, name, (found) => {
    if (found === undefined) throw wrongState(name, "is not on the node: boot it first");
    refuseForeign(found);
    if (found.state === "crashed") throw hasCrashed(context, name);
    if (!isActive(found.state)) throw wrongState(name, "is shut off: boot it first");
    check(context, action, name, use(found.pointer, found.state));
  });
}

function hasCrashed({ settings }: OperationContext, name: string): N0Error {
  const logLine = readLastLineOfQemu(libvirtFiles(settings.prefix, name).log);
  const why = logLine === undefined ? "" : quote(logLine);
  return wrongState(name, `is off, for its QEMU ended unexpectedly${why}: boot it first`);
}

function refuseForeign({ name, mark }: FoundDomain): void {
  if (mark === undefined) {
    throw wrongState(
      name,
      "has the name of a domain on the node that is not ours: rename or remove it",
    );
  }
}

function wrongState(name: string, what: string): N0Error {
  return new N0Error("failed_precondition", `virtual machine "${name}" ${what}`, {
    resource: ownerOnNode("virtual_machine", name),
  });
}

function check({ libvirt }: OperationContext, action: string, name: string, answer: number): void {
  if (answer < 0) throw toN0Error(action, name, libvirt.lastError());
}

/** VIR_UUID_STRING_BUFLEN is 37, with the terminating zero. */
function uuidOf(libvirt: Libvirt, domain: Pointer): string {
  const buffer = new Uint8Array(37);
  libvirt.domainGetUuidString(domain, buffer);
  return Buffer.from(buffer.subarray(0, 36)).toString("latin1");
}
