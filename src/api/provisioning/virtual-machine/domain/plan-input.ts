import type { Stored } from "../../../../datastore/records.ts";
import type { User } from "../../../../gen/n0stack/iam/v0/user_pb.ts";
import type { Network } from "../../../../gen/n0stack/pool/v0/network_pb.ts";
import type { VirtualMachine } from "../../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { defined } from "../../../../util/defined.ts";
import { N0Error } from "../../../../util/errors.ts";
import { formatRef, type Ref } from "../../../../util/ref.ts";
import type { Reader } from "../../../core/context.ts";
import { users } from "../../../iam/user/collection.ts";
import { interfaces } from "../../../network/interface/collection.ts";
import { networkBeside } from "../../../network/network/collection.ts";
import { getNetwork } from "../../../network/network/record.ts";
import { blockStorageBeside } from "../../block-storage/collection.ts";
import { getBlockStorage } from "../../block-storage/record.ts";
import type { Api } from "../../context.ts";
import { usersOf } from "../collection.ts";
import { numberOfNic, slotOfNumber } from "../nics/numbers.ts";
import { readUserDataSha256 } from "../user-data/user-data.ts";

/** The input of a plan besides the record of the virtual machine. */
export interface PlanInput {
  /** By the name of the block storage, in the scope of the virtual machine. */
  readonly volumeIds: ReadonlyMap<string, string>;
  /** In the order of the virtual machine's nics. */
  readonly nics: readonly NicInput[];
  /** The keys of the users that it names. */
  readonly userKeys: readonly string[];
  readonly nameservers: readonly string[];
  /** Of its user data. Undefined: it has none. */
  readonly userDataSha256?: string;
}

export interface NicInput {
  /** The network, which may be another project's. */
  readonly ref: Ref;
  readonly network: Network;
  readonly tapName: string;
  readonly pciSlot: number;
}

/**
 * Reads the input of the plan. The interfaces are reserved and the block storages claimed before.
 *
 * @param otherDisks More block storages whose volumes to read.
 */
export async function readPlanInput(
  api: Reader & Pick<Api, "nameservers">,
  ref: Ref,
  vm: VirtualMachine,
  otherDisks: readonly string[] = [],
): Promise<PlanInput> {
  const volumeIds = new Map<string, string>();
  for (const name of [...vm.blockStorageNames, ...otherDisks]) {
    volumeIds.set(name, (await getBlockStorage(api, blockStorageBeside(ref, name))).value.volumeId);
  }
  const nics = await readNics(api, ref, vm);
  const userKeys = userKeysOf(await readUsers(api, usersOf(vm)));
  const userDataSha256 = await readUserDataSha256(api, ref, vm);
  return {
    volumeIds,
    nics,
    userKeys,
    nameservers: api.nameservers,
    ...defined({ userDataSha256 }),
  };
}

export async function readNics(api: Reader, ref: Ref, vm: VirtualMachine): Promise<NicInput[]> {
  const nics: NicInput[] = [];
  for (const [i, { networkName }] of vm.nics.entries()) {
    const networkRef = networkBeside(ref, networkName);
    const network = (await getNetwork(api, networkRef)).value;
    const name = vm.networkInterfaceNames[i] ?? "";
    const reserved = await api.records.find(interfaces, networkRef, name);
    if (reserved === undefined) {
      const message = `interface ${i} of virtual machine "${ref.name}" is not reserved`;
      throw new N0Error("internal", message);
    }
    const { tapName, pciSlot = slotOfNumber(numberOfNic(ref, name)) } = reserved.value;
    nics.push({ ref: networkRef, network, tapName, pciSlot });
  }
  return nics;
}

/** @throws N0Error `failed_precondition` if a user does not exist. */
export async function readUsers(api: Reader, refs: readonly Ref[]): Promise<Stored<User>[]> {
  const found: Stored<User>[] = [];
  for (const [i, ref] of refs.entries()) {
    const stored = await api.records.find(users, ref);
    if (stored === undefined) {
      const message = `user_names[${i}]: user "${ref.name}" does not exist: create it first`;
      throw new N0Error("failed_precondition", message, { resource: formatRef(ref) });
    }
    found.push(stored);
  }
  return found;
}

export function userKeysOf(users: readonly Stored<User>[]): string[] {
  return users.flatMap(({ value }) => Object.values(value.sshPublicKeys));
}
