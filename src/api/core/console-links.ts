import type { Caller } from "../../rpc/caller.ts";
import { defined } from "../../util/defined.ts";
import type { Ref } from "../../util/ref.ts";

/** Who asked for a link: who follows it may do no more than he. It is a `type`, so that a record can hold it. */
export type LinkCaller = {
  readonly principal: string;
  readonly groups: readonly string[];
  readonly tokenId?: string;
  readonly limit?: { readonly project?: string; readonly roles?: readonly string[] };
};

export function linkCaller({ principal, groups, tokenId, limit }: Caller): LinkCaller {
  return { principal, groups, ...defined({ tokenId, limit }) };
}

/** Makes URLs that work once or for a short time. Each holds a new token. */
export interface ConsoleLinks {
  /**
   * An absolute URL that opens the screen of this virtual machine in a browser, once. It does not open a later
   * virtual machine of the same name.
   *
   * @param asker the address of the client.
   * @param caller default: the administrator.
   */
  consoleUrl(
    virtualMachine: Ref,
    incarnation: string,
    asker: string,
    caller?: LinkCaller,
  ): Promise<string>;
  /** An absolute URL that downloads a block storage while it has this volume. */
  downloadUrl(
    blockStorage: Ref,
    volumeId: string,
    asker: string,
    caller?: LinkCaller,
  ): Promise<string>;
}
