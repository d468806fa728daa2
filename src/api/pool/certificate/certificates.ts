import { put, remove, unchanged } from "../../../datastore/collection.ts";
import { type Datastore, merge, type Writes } from "../../../datastore/datastore.ts";
import type { Records } from "../../../datastore/records.ts";
import type { PeerCertificate } from "../../../rpc/certificate/identity.ts";
import { Mirror } from "../../core/read/mirror.ts";
import {
  type NodeCertificate,
  nodeCertificates,
  type RevokedKey,
  revokedKeys,
} from "./collection.ts";

/** Which certificates of nodes are valid. Every call of an agent asks, so it is in memory. */
export class Certificates implements Disposable {
  readonly #current: Mirror<NodeCertificate>;
  readonly #revoked: Mirror<RevokedKey>;

  private constructor(current: Mirror<NodeCertificate>, revoked: Mirror<RevokedKey>) {
    this.#current = current;
    this.#revoked = revoked;
  }

  static async open(datastore: Datastore): Promise<Certificates> {
    return new Certificates(
      await Mirror.open(datastore, nodeCertificates),
      await Mirror.open(datastore, revokedKeys),
    );
  }

  /** Whether the node has joined. Then it is called by mutual TLS only. */
  hasJoined(nodeName: string): boolean {
    return this.#current.get(nodeName) !== undefined;
  }

  /** False for a certificate that was revoked: its node is lost, deleted or has joined again. */
  isCurrent({ identity, keyHash }: Pick<PeerCertificate, "identity" | "keyHash">): boolean {
    return identity.kind === "node" && this.#current.get(identity.name)?.value.keyHash === keyHash;
  }

  /** The hashes of the keys that agents must refuse although their certificates have not expired. */
  revoked(nowMs: number): string[] {
    return this.#revoked
      .values()
      .filter(({ value }) => value.untilMs > nowMs)
      .map(({ key }) => revokedKeys.parts(key)[0]!)
      .toArray();
  }

  [Symbol.dispose](): void {
    this.#current[Symbol.dispose]();
    this.#revoked[Symbol.dispose]();
  }
}

/** Revokes the certificates of a node, in the batch that makes it lost or removes it. */
export async function revocation(records: Records, nodeName: string): Promise<Writes> {
  const stored = await records.find(nodeCertificates, nodeName);
  if (stored === undefined) return unchanged(nodeCertificates, [nodeName], 0);
  const { keyHash, notAfterMs } = stored.value;
  return merge(
    remove(nodeCertificates, nodeName),
    unchanged(nodeCertificates, [nodeName], stored.revision),
    put(revokedKeys, [keyHash], { untilMs: notAfterMs }),
  );
}
