import { ADMINISTRATOR } from "../../rpc/caller.ts";
import { defined } from "../../util/defined.ts";
import type { Ref } from "../../util/ref.ts";
import { throwUnlessAllowed } from "../iam/access/guard.ts";
import { type Permission, permissionText } from "../iam/access/permission.ts";
import { formatPlace, type Place } from "../iam/access/place.ts";
import { whileAllowed } from "../iam/access/while-allowed.ts";
import type { Api } from "../iam/context.ts";
import type { Link } from "./tokens/token-record.ts";

type Rights = Pick<Api, "grants" | "tokens" | "auditEvents">;

/** What the one who asked for a link still has. */
export interface LinkRight extends Disposable {
  /** Aborts when his token ends, or he loses the role. */
  readonly ended: AbortSignal;
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
    const tokenEnded = tokenId === undefined ? undefined : tokens.endOf(tokenId);
    const hasTokenEnded = tokenId !== undefined && tokenEnded === undefined;
    const place: Place = { kind: "project", name: scope };
    if (!hasTokenEnded && grants.allows(caller, permission, place)) {
      const check = () => throwUnlessAllowed(grants, caller, permission, place);
      const { ended, [Symbol.dispose]: dispose } = whileAllowed(grants, check);
      const ends = [ended, ...(tokenEnded === undefined ? [] : [tokenEnded])];
      return { ended: AbortSignal.any(ends), [Symbol.dispose]: dispose };
    }
    auditEvents.note({
      kind: "refusal",
      asker: { principal: caller.principal, ...defined({ tokenId }), project: scope },
      place: formatPlace(place),
      permission: permissionText(permission),
      reason: hasTokenEnded ? "link of an ended token" : "link without permission",
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
