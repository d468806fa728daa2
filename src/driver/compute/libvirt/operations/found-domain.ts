import { N0Error } from "../../../../util/errors.ts";
import { ownerOnNode } from "../../../../util/ref.ts";
import type { Mark } from "../../../mark.ts";
import { isActive } from "../../active.ts";
import type { DomainState } from "../../domain.ts";
import type { Libvirt, Pointer } from "../bindings.ts";
import { toDomainState } from "../domain-state.ts";
import { METADATA_NAMESPACE, parseMark } from "../domain-xml.ts";
import { readLastLineOfQemu } from "../last-words.ts";
import { quote, toN0Error, VIR_ERR } from "../libvirt-error.ts";
import { libvirtFiles } from "../libvirt-files.ts";
import type { QemuEnder } from "../qemu-process.ts";
import type { DriverSettings, QemuUser } from "../worker-protocol.ts";
import { parseXml } from "../xml.ts";

/** libvirt/libvirt-domain.h */
const METADATA_ELEMENT = 2;

export interface OperationContext {
  readonly libvirt: Libvirt;
  readonly connection: Pointer;
  readonly settings: DriverSettings;
  readonly qemuUser: QemuUser | undefined;
  readonly qemu: QemuEnder;
}

export interface FoundDomain {
  readonly name: string;
  readonly pointer: Pointer;
  readonly state: DomainState;
  /** Undefined: the domain is not ours. */
  readonly mark: Mark | undefined;
}

/** Looks up the domain, passes it to `use` and frees it. */
export function withDomain<T>(
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
export function withActive(
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
  return wrongState(name, `is off because its QEMU ended unexpectedly${why}: boot it first`);
}

export function refuseForeign({ name, mark }: FoundDomain): void {
  if (mark === undefined) {
    throw wrongState(
      name,
      "has the name of a domain on the node that is not ours: rename or remove it",
    );
  }
}

export function wrongState(name: string, what: string): N0Error {
  return new N0Error("failed_precondition", `virtual machine "${name}" ${what}`, {
    resource: ownerOnNode("virtual_machine", name),
  });
}

export function check(
  { libvirt }: OperationContext,
  action: string,
  name: string,
  answer: number,
): void {
  if (answer < 0) throw toN0Error(action, name, libvirt.lastError());
}

/** VIR_UUID_STRING_BUFLEN is 37, with the terminating zero. */
export function uuidOf(libvirt: Libvirt, domain: Pointer): string {
  const buffer = new Uint8Array(37);
  libvirt.domainGetUuidString(domain, buffer);
  return Buffer.from(buffer.subarray(0, 36)).toString("latin1");
}
