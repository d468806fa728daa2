import { keyText } from "../../../datastore/key.ts";
import { callerOf, NOBODY } from "../../../rpc/caller.ts";
import { N0Error } from "../../../util/errors.ts";
import type { Ref } from "../../../util/ref.ts";
import type { Call } from "../../core/context.ts";
import { type Different, differencesText, type Loss } from "../../core/resource/differences.ts";
import { whereOf } from "../../core/where.ts";
import { throwUnlessAllowed } from "../../iam/access/guard.ts";
import type { Api } from "../../provisioning/context.ts";

/** What a stack is asked, with those of its objects that it has made. */
interface Asked {
  readonly stack: Ref;
  /** The keys of their records. */
  readonly isMade: (key: string) => boolean;
  readonly discardData: boolean;
}

/**
 * Before a stack replaces an object whose data goes. See docs/adr/0078.
 *
 * @throws N0Error `failed_precondition` without `discardData`, and for what the stack has not made;
 *   `permission_denied`.
 */
export function throwUnlessLost(
  { grants }: Pick<Api, "grants">,
  call: Call,
  { stack, isMade, discardData }: Asked,
  { key, differences }: Different,
  loss: Loss,
): void {
  const resource = keyText(key);
  const refused = (why: string, field?: string) => {
    const message = `${resource} is not as asked, and cannot be changed in place: ${differencesText(differences)}: ${why}`;
    return new N0Error("failed_precondition", message, {
      resource,
      ...(field === undefined ? {} : { field }),
    });
  };
  if (!isMade(key)) {
    const rule = `stack "${stack.name}" has not made it, so it keeps its data`;
    throw refused(`${rule}: give the new one another name, or remove ${resource} first`);
  }
  if (!discardData) {
    const rule = `to replace it would lose ${loss.what}`;
    throw refused(
      `${rule}: to accept that, set discard_data (n0cli: --discard-data)`,
      "discard_data",
    );
  }
  const project = { kind: "project", name: whereOf(call.values).project } as const;
  const caller = call.values === undefined ? NOBODY : callerOf(call.values);
  for (const permission of loss.needs) throwUnlessAllowed(grants, caller, permission, project);
}
