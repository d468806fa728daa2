import type { Pointer } from "../bindings.ts";
import type { Operation } from "../worker-protocol.ts";
import { check, type OperationContext, withActive, wrongState } from "./found-domain.ts";

/** libvirt/libvirt-domain.h */
const BLOCK_RESIZE_BYTES = 1;

export function grow(
  context: OperationContext,
  name: string,
  path: string,
  sizeBytes: bigint,
): void {
  withActive(context, "grow a disk of", name, (domain) => {
    // QEMU would shrink the disk and lose data.
    if (capacityOf(context, domain, name, path) > sizeBytes)
      throw wrongState(name, "has a disk larger than that: a disk only grows");
    return context.libvirt.domainBlockResize(domain, path, sizeBytes, BLOCK_RESIZE_BYTES);
  });
}

type UndoGrow = Extract<Operation, { readonly kind: "undo_grow" }>;

export function undoGrow(
  context: OperationContext,
  { name, path, fromBytes, toBytes }: UndoGrow,
): void {
  withActive(context, "shrink a disk of", name, (domain) =>
    capacityOf(context, domain, name, path) === toBytes
      ? context.libvirt.domainBlockResize(domain, path, fromBytes, BLOCK_RESIZE_BYTES)
      : 0,
  );
}

/** The size of the disk that the guest sees, in bytes. */
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
