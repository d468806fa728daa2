import { isActive } from "../../active.ts";
import { toN0Error, VIR_ERR } from "../libvirt-error.ts";
import { libvirtFiles } from "../libvirt-files.ts";
import { type FoundDomain, type OperationContext, uuidOf } from "./found-domain.ts";

export function powerOff(context: OperationContext, found: FoundDomain): void {
  if (!isActive(found.state)) return;
  const { libvirt, qemu, settings } = context;
  const { pidFile } = libvirtFiles(settings.prefix, found.name);
  qemu.end(pidFile, uuidOf(libvirt, found.pointer));
  const answer = libvirt.domainDestroy(found.pointer, 0);
  if (answer < 0 && !hasGone(context)) {
    throw toN0Error("stop", found.name, libvirt.lastError());
  }
}

/** After a failed call: whether it failed because the domain stopped or went away by itself in the meantime. */
export function hasGone({ libvirt }: OperationContext): boolean {
  const code = libvirt.lastError()?.code;
  return code === VIR_ERR.noDomain || code === VIR_ERR.operationInvalid;
}
