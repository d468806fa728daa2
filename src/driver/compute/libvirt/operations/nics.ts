import { existsSync } from "node:fs";
import { N0Error } from "../../../../util/errors.ts";
import { ownerOnNode } from "../../../../util/ref.ts";
import { isActive, isPaused } from "../../active.ts";
import type { NicSpec } from "../../domain.ts";
import { aliasOfNic, formatNic } from "../domain-xml.ts";
import { toN0Error } from "../libvirt-error.ts";
import {
  type FoundDomain,
  type OperationContext,
  refuseForeign,
  withDomain,
  wrongState,
} from "./found-domain.ts";
import { hasGone } from "./power-off.ts";

/** libvirt/libvirt-domain.h */
const AFFECT_LIVE = 1;
const AFFECT_CONFIG = 2;
const XML_INACTIVE = 2;

/** The guest first: if it cannot get the nic, the definition has not changed. */
export function plug(context: OperationContext, name: string, nic: NicSpec): void {
  withDomain(context, "attach a nic to", name, (found) => {
    if (found === undefined) throw wrongState(name, "is not on the node: run verify");
    refuseForeign(found);
    const { libvirt } = context;
    const attach = (flags: number) =>
      libvirt.domainAttachDevice(found.pointer, formatNic(nic), flags);
    const { hardwareAddress } = nic;
    if (isActive(found.state) && aliasIn(context, found, 0, hardwareAddress) === undefined) {
      requireTap(name, nic);
      // A guest that has just powered off gets it at its next boot.
      if (attach(AFFECT_LIVE) < 0 && !hasGone(context)) {
        throw toN0Error("attach a nic to", name, libvirt.lastError());
      }
    }
    if (aliasIn(context, found, XML_INACTIVE, hardwareAddress) !== undefined) return;
    if (attach(AFFECT_CONFIG) < 0) {
      throw toN0Error("attach a nic to", name, libvirt.lastError());
    }
  });
}

/**
 * Takes the nic from the definition as soon as the guest has released it.
 *
 * @param isRequest Whether to ask the guest. It needs to be asked once.
 * @returns whether the guest still has it.
 */
export function unplug(
  context: OperationContext,
  name: string,
  hardwareAddress: string,
  isRequest: boolean,
): boolean {
  return withDomain(context, "detach a nic from", name, (found) => {
    if (found?.mark === undefined) return false;
    const alias = isActive(found.state) ? aliasIn(context, found, 0, hardwareAddress) : undefined;
    if (alias !== undefined) {
      if (isPaused(found.state)) throw wrongState(name, "is PAUSED: boot it first");
      // A guest that has ended meanwhile would get it again at its next boot.
      if (!isRequest || askGuest(context, found, alias)) return true;
    }
    forget(context, found, hardwareAddress);
    return false;
  });
}

/** @returns whether the guest has the nic at this moment. */
function askGuest(
  context: OperationContext,
  { name, pointer }: FoundDomain,
  alias: string,
): boolean {
  const { libvirt } = context;
  if (libvirt.domainDetachDeviceAlias(pointer, alias, AFFECT_LIVE) >= 0) return true;
  if (hasGone(context)) return false;
  const error = libvirt.lastError();
  // QEMU still waits for the guest since an earlier request.
  if (/already in the process of unplug/.test(error?.message ?? "")) return true;
  throw toN0Error("detach a nic from", name, error);
}

function forget(context: OperationContext, found: FoundDomain, hardwareAddress: string): void {
  const { libvirt } = context;
  if (aliasIn(context, found, XML_INACTIVE, hardwareAddress) === undefined) return;
  // libvirt finds it by its hardware address.
  const xml = formatNic({ hardwareAddress, tapName: "" });
  if (libvirt.domainDetachDevice(found.pointer, xml, AFFECT_CONFIG) >= 0) return;
  throw toN0Error("detach a nic from", found.name, libvirt.lastError());
}

function aliasIn(
  { libvirt }: OperationContext,
  { name, pointer }: FoundDomain,
  flags: number,
  hardwareAddress: string,
): string | undefined {
  const xml = libvirt.domainGetXmlDesc(pointer, flags);
  if (xml === null) throw toN0Error("look at", name, libvirt.lastError());
  return aliasOfNic(xml, hardwareAddress);
}

/** libvirt would make a tap of its own. */
function requireTap(name: string, { tapName }: NicSpec): void {
  if (existsSync(`/sys/class/net/${tapName}`)) return;
  throw new N0Error(
    "failed_precondition",
    `the tap "${tapName}" of virtual machine "${name}" is missing on the node: make it first`,
    { resource: ownerOnNode("virtual_machine", name) },
  );
}
