import { jsonCollection, protoCollection } from "../../../datastore/collection.ts";
import {
  type VirtualMachine,
  VirtualMachineSchema,
} from "../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { DEFAULT_SCOPE, type Ref, refBeside } from "../../../util/ref.ts";
import type { UsedBy } from "../../core/reserved.ts";
import { users } from "../../iam/user/collection.ts";
import { referredGroups } from "../../network/security-group/names.ts";

/** The state on its node is added when a virtual machine is read. */
export const virtualMachines = protoCollection("virtual_machine", VirtualMachineSchema, {
  references: {
    network: ({ nics }) => nics.map(({ networkName }) => networkName),
    security_group: ({ nics }) => referredGroups(nics.flatMap((nic) => nic.securityGroups)),
    block_storage: ({ blockStorageNames }) => blockStorageNames,
    user: (vm) => usersOf(vm).map(({ scope, name }) => `${scope}/${name}`),
  },
});

/** The users that a virtual machine names. The domain of a project never changes. */
export function usersOf({
  userNames,
  userDomain,
}: Pick<VirtualMachine, "userNames" | "userDomain">): Ref[] {
  // A record of an older version holds no domain.
  const scope = userDomain || DEFAULT_SCOPE;
  return userNames.map((name) => ({ kind: users.kind, scope, name }));
}

/** A virtual machine that another object names. */
export function virtualMachineBeside(of: Pick<Ref, "scope">, name: string): Ref {
  return refBeside(of, virtualMachines.kind, name);
}

/** What only the node of the virtual machine gets, and no answer has. */
export type UserData = {
  readonly base64: string;
  readonly sha256: string;
  readonly transactionId: string;
  /** What it was before a change that has not ended yet. */
  readonly before?: UserData;
};

/** By virtual machine, of those that have any. */
export const userDatas = jsonCollection<UserData>("user_data", { of: virtualMachines.kind });

/** By UUID. */
export const uuids = jsonCollection<UsedBy>("uuid");
