/**
 * The owner of a thing on the node. Every thing that a driver makes carries a mark, so that it says by itself
 * whose it is: in libvirt's metadata, `ifalias` of links, a comment in nft, the sidecar of a volume. A thing
 * without a mark, or with the mark of another instance, is not ours, and we never touch it.
 */
export interface Mark {
  /** The object of the user, as `formatRef` in util/ref.ts writes it, such as `virtual_machine/web-1`. */
  readonly owner: string;
  /** The transaction that made it. */
  readonly transactionId: string;
}

/**
 * Whose things a removal takes away. A delete names the owner, and removes everything of that owner. An undo
 * names the transaction too, and leaves what another transaction made for the same owner.
 */
export interface Maker {
  readonly owner: string;
  /** Undefined: things of any transaction. */
  readonly transactionId?: string;
}

export function isMadeBy({ owner, transactionId }: Mark, maker: Maker): boolean {
  return (
    owner === maker.owner &&
    (maker.transactionId === undefined || maker.transactionId === transactionId)
  );
}
