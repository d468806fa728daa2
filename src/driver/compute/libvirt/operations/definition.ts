import { existsSync, rmSync } from "node:fs";
import { isMadeBy, type Maker, type Mark } from "../../../mark.ts";
import { isActive } from "../../active.ts";
import type { DomainInfo, DomainSpec } from "../../domain.ts";
import { refuseLeftover } from "../../leftover.ts";
import type { Pointer } from "../bindings.ts";
import { cpuShares } from "../cpu-shares.ts";
import { domainPaths } from "../domain-paths.ts";
import { toDomainState } from "../domain-state.ts";
import { formatDomainXml, parseDomainXml } from "../domain-xml.ts";
import { readFolderMark } from "../folder-mark.ts";
import { toN0Error } from "../libvirt-error.ts";
import { libvirtFiles, removeLog } from "../libvirt-files.ts";
import {
  check,
  type FoundDomain,
  type OperationContext,
  refuseForeign,
  uuidOf,
  withDomain,
  wrongState,
} from "./found-domain.ts";
import { hasGone, powerOff } from "./power-off.ts";

/** libvirt/libvirt-domain.h */
const UNDEFINE_MANAGED_SAVE = 1;
const UNDEFINE_SNAPSHOTS_METADATA = 2;
const UNDEFINE_NVRAM = 4;
const UNDEFINE_CHECKPOINTS_METADATA = 16;
const UNDEFINE_ALL =
  UNDEFINE_MANAGED_SAVE |
  UNDEFINE_SNAPSHOTS_METADATA |
  UNDEFINE_NVRAM |
  UNDEFINE_CHECKPOINTS_METADATA;

export function requireNew(context: OperationContext, name: string, mark: Mark): void {
  withDomain(context, "look at", name, (found) => {
    if (found !== undefined) refuseForeign(found);
    refuseLeftover("domain", name, found?.mark, mark);
    const { folder } = domainPaths(context.settings.baseDirectory, name);
    refuseLeftover("folder", name, readFolderMark(folder), mark);
  });
}

export function redefine(context: OperationContext, spec: DomainSpec, mark: Mark): void {
  withDomain(context, "define", spec.name, (found) => {
    if (found !== undefined) {
      refuseForeign(found);
      if (isActive(found.state)) throw wrongState(spec.name, "is active: shut it down first");
    }
    context.libvirt.domainFree(define(context, spec, mark, found));
  });
}

/** Returns a domain that the caller must free. */
export function define(
  context: OperationContext,
  spec: DomainSpec,
  mark: Mark,
  old: FoundDomain | undefined,
): Pointer {
  const { libvirt, connection, settings, qemuUser } = context;
  // libvirt refuses to change the uuid of a name. If the process dies in between, the definition is missing,
  // and the next try makes it.
  if (old !== undefined && uuidOf(libvirt, old.pointer) !== spec.uuid.toLowerCase()) {
    check(context, "redefine", spec.name, libvirt.domainUndefine(old.pointer, UNDEFINE_ALL));
  }
  const { prefix, baseDirectory, accelerator, cpuController } = settings;
  const paths = domainPaths(baseDirectory, spec.name);
  const shares = cpuShares(cpuController, spec.cpuMilliCores);
  // A replaced definition keeps the mark of the transaction that made the domain.
  const kept = old?.mark?.owner === mark.owner ? old.mark : mark;
  const xml = formatDomainXml({
    spec,
    mark: kept,
    prefix,
    paths,
    accelerator,
    cpuShares: shares,
    basesAreOpen: qemuUser !== undefined,
  });
  const domain = libvirt.domainDefineXml(connection, xml, 0);
  if (domain === null) throw toN0Error("define", spec.name, libvirt.lastError());
  return domain;
}

/**
 * The folder is ours because it lies below our base, with or without a domain. Its own mark says whose it is.
 * It stays if a domain that is not the maker's uses it. It is removed last: while it exists, an interrupted
 * removal is known to be unfinished.
 */
export function remove(context: OperationContext, name: string, maker: Maker): void {
  const { baseDirectory, prefix } = context.settings;
  const { folder } = domainPaths(baseDirectory, name);
  const left = withDomain(context, "remove", name, (found) => {
    if (found === undefined) return "nothing";
    // The domain is not ours, or somebody has removed our mark.
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
  // rmSync opens folder by folder and follows no link, whatever QEMU's user still puts into its own folder.
  rmSync(folder, { recursive: true, force: true });
}

export function list({ libvirt, connection, settings }: OperationContext): DomainInfo[] {
  const pointers = libvirt.listAllDomains(connection);
  if (pointers === undefined) throw toN0Error("list", undefined, libvirt.lastError());
  try {
    return pointers.flatMap((pointer) => {
      if (!libvirt.domainGetName(pointer).startsWith(settings.prefix)) return [];
      const xml = libvirt.domainGetXmlDesc(pointer, 0);
      const state = libvirt.domainGetState(pointer);
      // The domain was removed after the list was made. Any worse failure also makes the next call fail.
      if (xml === null || state === undefined) return [];
      const info = parseDomainXml(xml, settings.prefix);
      return info === undefined ? [] : [{ ...info, state: toDomainState(state) }];
    });
  } finally {
    for (const pointer of pointers) libvirt.domainFree(pointer);
  }
}
