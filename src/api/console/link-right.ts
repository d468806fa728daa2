import { ADMINISTRATOR } from "../../rpc/caller.ts";
import { defined } from "../../util/defined.ts";
import type { Ref } from "../../util/ref.ts";
import { type Permission, permissionText } from "../iam/access/permission.ts";
import { formatPlace, type Place } from "../iam/access/place.ts";
import type { Api } from "../iam/context.ts";
import type { Link } from "./tokens/token-record.ts";

type Rights = Pick<Api, "grants" | "tokens" | "auditEvents">;

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
function finder({ grants, tokens, auditEvents }: Rights, permission: Permission): FindLinkRight {
  return ({ caller = ADMINISTRATOR }, { scope }) => {
    const { tokenId } = caller;
    const ended = tokenId === undefined ? undefined : tokens.endOf(tokenId);
    const hasEnded = tokenId !== undefined && ended === undefined;
    const place: Place = { kind: "project", name: scope };
    if (!hasEnded && grants.allows(caller, permission, place)) return defined({ ended });
    auditEvents.note({
      kind: "refusal",
      asker: { principal: caller.principal, ...defined({ tokenId }), project: scope },
      place: formatPlace(place),
      permission: permissionText(permission),
      reason: hasEnded ? "link of an ended token" : "link without permission",
    });
    return undefined;
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
