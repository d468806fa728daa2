/**
 * Who owns a thing on the node. Everything a driver makes carries one, so that what is on the node
 * tells by itself whose it is: libvirt metadata, `ifalias` on links, a comment in nft, the sidecar of
 * a volume. What has no mark, or another instance's, is not ours and is never touched.
 */
export interface Mark {
  /** The user's object as `formatRef` in util/ref.ts writes it, such as `virtual_machine/web-1`. */
  readonly owner: string;
  /** The transaction that made it. */
  readonly transactionId: string;
}

/**
 * Whose work a removal takes away. A delete names the owner, and all of the owner's goes; an undo names
 * the transaction too, and what another one made for the same owner stays.
 */
export interface Maker {
  readonly owner: string;
  /** Undefined: any of the owner's. */
  readonly transactionId?: string;
}

export function isMadeBy({ owner, transactionId }: Mark, maker: Maker): boolean {
  return (
    owner === maker.owner &&
    (maker.transactionId === undefined || maker.transactionId === transactionId)
  );
}
