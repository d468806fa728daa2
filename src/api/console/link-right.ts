import { ADMINISTRATOR } from "../../rpc/caller.ts";
import type { Ref } from "../../util/ref.ts";
import type { Api } from "../iam/context.ts";
import type { Link } from "./tokens/token-record.ts";

type Rights = Pick<Api, "grants" | "tokens">;

/** What the one who asked for a link still has. */
export interface LinkRight {
  /** Aborts when his token ends. */
  readonly ended?: AbortSignal;
}

/** The right to follow a link; undefined if whoever asked for it has lost that right. */
export type FindLinkRight = (link: Link, ref: Ref) => LinkRight | undefined;

/**
 * A link gives what its asker may do at the moment of its use: his token must still be valid, and he must have
 * a role in the project of the object that allows it.
 */
function finder(
  { grants, tokens }: Rights,
  permission: { readonly resource: string; readonly verb: string },
): FindLinkRight {
  return ({ caller = ADMINISTRATOR }, { scope }) => {
    const { tokenId } = caller;
    const ended = tokenId === undefined ? undefined : tokens.endOf(tokenId);
    if (tokenId !== undefined && ended === undefined) return undefined;
    if (!grants.allows(caller, permission, { kind: "project", name: scope })) return undefined;
    return ended === undefined ? {} : { ended };
  };
}

export function linkRights(api: Rights): {
  readonly consoleRight: FindLinkRight;
  readonly downloadRight: FindLinkRight;
} {
  return {
    consoleRight: finder(api, { resource: "virtual_machine", verb: "open_console" }),
    downloadRight: finder(api, { resource: "block_storage", verb: "download" }),
  };
}
