import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import type { IdentityService } from "../../../gen/n0stack/iam/v1alpha1/identity_pb.ts";
import { callerOf } from "../../../rpc/caller.ts";
import { invalid } from "../../../util/errors.ts";
import { whereOf } from "../../core/where.ts";
import type { Grant, Grants } from "../access/grants.ts";
import { formatPlace, parsePlace } from "../access/place.ts";

type Routes = Pick<ServiceImpl<typeof IdentityService>, "whoAmI" | "canI">;

/** Who the caller is, and what he may do. */
export function callerRoutes(grants: Grants): Routes {
  return {
    whoAmI: (_request, { values }: HandlerContext) => {
      const caller = callerOf(values);
      const { principal, groups, tokenId = "", limit } = caller;
      return {
        principal,
        groups: [...groups],
        tokenId,
        project: whereOf(values).project,
        roles: grants.grantsOf(caller).map(heldRole),
        onlyInProject: limit?.project ?? "",
        onlyRoles: [...(limit?.roles ?? [])],
      };
    },
    canI: ({ resource, verb, scope }, { values }: HandlerContext) => {
      grants.catalog.check("resource", `${resource}.${verb}`);
      const caller = callerOf(values);
      const at = parsePlace(scope === "" ? `project/${whereOf(values).project}` : scope);
      if (at === undefined) {
        throw invalid("scope", 'must be "system", "domain/NAME" or "project/NAME"');
      }
      const permission = { resource, verb };
      // A place that does not exist for the caller looks like one in which he may do nothing.
      const exists = grants.exists(at) && grants.sees(caller, at);
      if (!exists || !grants.allows(caller, permission, at)) return { allowed: false };
      const by = grants.grantOf(caller, permission, at);
      return { allowed: true, ...(by === undefined ? {} : { by: heldRole(by) }) };
    },
  };
}

function heldRole({ role, place, member, binding = "" }: Grant) {
  return { role, scope: formatPlace(place), member, roleBinding: binding };
}
