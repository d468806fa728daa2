import { once } from "node:events";
import { statSync } from "node:fs";
import { ifThereSync } from "../../../../util/errno.ts";
import { METADATA_ADDRESSES, METADATA_PORT } from "../../../../util/metadata-addresses.ts";
import type { AnswerMetadata } from "../../metadata.ts";
import type { Names } from "../names.ts";
import { inNamespace, namespaceAt } from "../namespace.ts";
import { type MetadataListener, newMetadataListener } from "./listener.ts";

interface Listening extends MetadataListener {
  /** The number of the namespace. Another one may have the same name later. */
  readonly namespace: bigint;
}

/** The owner of the tap of the guest with this address in the network; undefined if nobody can be sure of it. */
type WhoIs = (networkName: string, address: string) => Promise<string | undefined>;

/** The servers of this process that answer guests, one in the namespace of each network. */
export class MetadataServers {
  readonly #names: Names;
  readonly #whoIs: WhoIs;
  readonly #listening = new Map<string, Listening>();
  #answer: AnswerMetadata | undefined;
  #lastFailure: unknown;

  constructor(names: Names, whoIs: WhoIs) {
    this.#names = names;
    this.#whoIs = whoIs;
  }

  /** Who answers from now on. Until then, and after `undefined`, nobody listens. */
  set answer(answer: AnswerMetadata | undefined) {
    this.#answer = answer;
    if (answer !== undefined) return;
    for (const networkName of [...this.#listening.keys()]) this.close(networkName);
  }

  get isWanted(): boolean {
    return this.#answer !== undefined;
  }

  /** The networks in which it listens, which may be gone. */
  get networkNames(): string[] {
    return [...this.#listening.keys()];
  }

  /** Whether it listens in the namespace that the network has now. */
  listensIn(networkName: string): boolean {
    const there = this.#listening.get(networkName);
    return there?.server.listening === true && there.namespace === this.#namespaceOf(networkName);
  }

  /** The error of a request since the last call. */
  takeFailure(): unknown {
    const failure = this.#lastFailure;
    this.#lastFailure = undefined;
    return failure;
  }

  /** Listens in the network, whose namespace is ready. The caller holds the network. */
  async listen(networkName: string): Promise<void> {
    if (!this.isWanted || this.listensIn(networkName)) return;
    this.close(networkName);
    const path = this.#names.netnsPath(networkName);
    const namespace = this.#namespaceOf(networkName);
    if (namespace === undefined) return;
    const listener = newMetadataListener(
      async ({ address, asked }, request) => {
        if (!METADATA_ADDRESSES.includes(asked)) return undefined;
        const owner = await this.#whoIs(networkName, address);
        return owner === undefined ? undefined : await this.#answer?.(owner, request);
      },
      (error) => {
        this.#lastFailure = error;
      },
    );
    const { server } = listener;
    // Without a host it is bound at once, and so inside. The rules there let guests reach the addresses of metadata
    // alone.
    inNamespace(path, () => server.listen({ port: METADATA_PORT }));
    if (!server.listening) throw (await once(server, "error"))[0];
    server.on("error", (error) => {
      this.#lastFailure = error;
    });
    this.#listening.set(networkName, { ...listener, namespace });
  }

  /** Ends the server of the network with its connections: they would keep the namespace. */
  close(networkName: string): void {
    const there = this.#listening.get(networkName);
    if (there === undefined) return;
    this.#listening.delete(networkName);
    there.close();
  }

  #namespaceOf(networkName: string): bigint | undefined {
    const path = this.#names.netnsPath(networkName);
    if (namespaceAt(path) !== "namespace") return undefined;
    return ifThereSync(() => statSync(path, { bigint: true }).ino);
  }
}
