import { existsSync, rmSync } from "node:fs";
import { N0Error } from "../../../../util/errors.ts";
import { ownerOnNode } from "../../../../util/ref.ts";
import { openToQemu } from "../../../file/base-file.ts";
import type { Mark } from "../../../mark.ts";
import { isActive, isPaused } from "../../active.ts";
import type { DomainSpec } from "../../domain.ts";
import { refuseDeaf } from "../../power-button.ts";
import type { Pointer } from "../bindings.ts";
import { ensureQemuFolder } from "../domain-folder.ts";
import { domainPaths } from "../domain-paths.ts";
import { ensureMarkedFolder } from "../folder-mark.ts";
import { countOomKills, readLastLineOfQemu } from "../last-words.ts";
import { toN0Error } from "../libvirt-error.ts";
import { libvirtFiles } from "../libvirt-files.ts";
import { define } from "./definition.ts";
import { type OperationContext, refuseForeign, withActive, withDomain } from "./found-domain.ts";

/** libvirt/libvirt-domain.h */
const START_PAUSED = 1;
const ACPI_POWER_BUTTON = 1;

export function start(context: OperationContext, spec: DomainSpec, mark: Mark): void {
  withDomain(context, "start", spec.name, (found) => {
    if (found !== undefined) refuseForeign(found);
    if (found !== undefined && isActive(found.state)) return;
    requireParts(spec);
    openBases(context, spec);
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

function prepareFolder({ settings, qemuUser }: OperationContext, name: string, mark: Mark): void {
  const { folder, qemuFolder, formerVncSocket } = domainPaths(settings.baseDirectory, name);
  ensureMarkedFolder(folder, mark);
  rmSync(formerVncSocket, { force: true });
  ensureQemuFolder(qemuFolder, qemuUser);
}

function openBases({ qemuUser }: OperationContext, { disks }: DomainSpec): void {
  if (qemuUser === undefined) return;
  for (const { backing = [] } of disks) {
    for (const path of backing) openToQemu(path, qemuUser.gid);
  }
}

/** libvirt's own messages contain paths, and come only after half a start. */
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

export function resume(context: OperationContext, name: string): void {
  withActive(context, "resume", name, (domain, state) =>
    state === "running" ? 0 : context.libvirt.domainResume(domain),
  );
}

export function pause(context: OperationContext, name: string): void {
  withActive(context, "pause", name, (domain, state) =>
    isPaused(state) ? 0 : context.libvirt.domainSuspend(domain),
  );
}

export function press(
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
