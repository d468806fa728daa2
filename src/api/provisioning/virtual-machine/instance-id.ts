import type { VirtualMachine } from "../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { uuidV5 } from "../../../util/uuid.ts";

/**
 * Equal for equal requests and addresses, for every user and at any time.
 *
 * @param former The id before an update, which makes it one that the guest has never had. cloud-init would take a
 *   change back to former values for something that it has done already.
 */
export function instanceIdOf(
  { uuid, loginUsername, sshAuthorizedKeys, nics, hostname }: VirtualMachine,
  userKeys: readonly string[],
  userDataDigest: string,
  former?: string,
): string {
  const addresses = nics.map((nic) => [
    ...[nic.hardwareAddress, nic.ipv4Address, nic.ipv6Address],
    ...nic.secondaryAddresses,
  ]);
  // A disk of an older version must meet the id that it knows.
  const added = hostname === "" && userDataDigest === "" ? [] : [hostname, userDataDigest];
  const parts = [loginUsername, sshAuthorizedKeys, userKeys, addresses, ...added];
  return uuidV5(uuid, JSON.stringify(former === undefined ? parts : [...parts, { former }]));
}
