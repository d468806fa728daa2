import type {
  CreateVirtualMachineRequest,
  VirtualMachineNIC,
} from "../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { canonicalAddress } from "../../../util/cidr.ts";
import { invalid } from "../../../util/errors.ts";
import { checkHostname } from "../../../util/guest-name.ts";
import { parseHardwareAddress } from "../../../util/hardware-address.ts";
import { quote } from "../../../util/quote.ts";
import type { Ref } from "../../../util/ref.ts";
import { parseSshPublicKey } from "../../../util/ssh-key.ts";
import { parseUuid } from "../../../util/uuid.ts";
import { uuidOfName } from "../../../util/virtual-machine-names.ts";
import { isNoAddress } from "../../network/interface/choose-address.ts";
import { checkLimits } from "./nics/limits.ts";
import { checkUserData } from "./user-data/check.ts";

const MEMORY_BYTES_MIN = 16n << 20n;
/** The maximum of QEMU's machine type `pc`. */
const VCPUS_MAX = 255;

export interface Size {
  readonly requestCpuMilliCore: number;
  readonly limitCpuMilliCore: number;
  readonly requestMemoryBytes: bigint;
  readonly limitMemoryBytes: bigint;
}

/** The limit, or the request if there is no limit. For the processor, rounded up to whole vCPUs. */
export function withLimits(size: Size): Size {
  const { requestCpuMilliCore, limitCpuMilliCore, requestMemoryBytes, limitMemoryBytes } = size;
  return {
    requestCpuMilliCore,
    limitCpuMilliCore: limitCpuMilliCore || Math.ceil(requestCpuMilliCore / 1000) * 1000,
    requestMemoryBytes,
    limitMemoryBytes: limitMemoryBytes || requestMemoryBytes,
  };
}

/** @throws N0Error `invalid_argument`: the guest must get what is reserved for it. */
export function checkSize(size: Size): void {
  const { requestCpuMilliCore, limitCpuMilliCore, requestMemoryBytes, limitMemoryBytes } = size;
  if (requestCpuMilliCore === 0) throw invalid("request_cpu_milli_core", "must be more than 0");
  if (limitCpuMilliCore % 1000 !== 0) {
    throw invalid("limit_cpu_milli_core", "must be a multiple of 1000: 1000 is one vCPU");
  }
  if (limitCpuMilliCore > VCPUS_MAX * 1000) {
    throw invalid(
      "limit_cpu_milli_core",
      `must be at most ${VCPUS_MAX * 1000}: a virtual machine has at most ${VCPUS_MAX} vCPUs`,
    );
  }
  if (limitCpuMilliCore < requestCpuMilliCore) {
    throw invalid("limit_cpu_milli_core", "must not be below request_cpu_milli_core");
  }
  if (requestMemoryBytes < MEMORY_BYTES_MIN) {
    throw invalid("request_memory_bytes", `must be at least ${MEMORY_BYTES_MIN}`);
  }
  if (requestMemoryBytes !== limitMemoryBytes) {
    throw invalid(
      "limit_memory_bytes",
      "must equal request_memory_bytes: memory is not overcommitted",
    );
  }
}

export interface CheckedCreate {
  readonly uuid: string;
  readonly sshAuthorizedKeys: readonly string[];
  readonly userData: string;
}

/** Checks what the rules of the proto cannot say. @throws N0Error `invalid_argument` that names the field. */
export function checkCreate(ref: Ref, request: CreateVirtualMachineRequest): CheckedCreate {
  checkSize(request);
  const { uuid: asked } = request;
  const uuid = asked === "" ? uuidOfName(ref) : parseUuid(asked);
  if (uuid === undefined) throw invalid("uuid", `${quote(asked)} is not a UUID`);
  checkNics(request.nics, (i) => `nics[${i}].`);
  return { uuid, ...checkGuest(request) };
}

export type Guest = Pick<
  CreateVirtualMachineRequest,
  "loginUsername" | "sshAuthorizedKeys" | "hostname" | "userData"
>;

/** Checks what a guest is told. @throws N0Error `invalid_argument` that names the field. */
export function checkGuest(guest: Guest): Pick<CheckedCreate, "sshAuthorizedKeys" | "userData"> {
  const { loginUsername, hostname, userData } = guest;
  if (loginUsername !== "" && !/^[a-z_][a-z0-9_-]{0,31}$/.test(loginUsername)) {
    throw invalid(
      "login_username",
      "must be a lower-case letter or _, then up to 31 lower-case letters, digits, _ or -",
    );
  }
  const sshAuthorizedKeys = guest.sshAuthorizedKeys.map((text, i) =>
    parseSshPublicKey(`ssh_authorized_keys[${i}]`, text),
  );
  if (hostname !== "") checkHostname("hostname", hostname);
  return { sshAuthorizedKeys, userData: checkUserData(userData) };
}

/**
 * Refuses values that two nics of one virtual machine share: a hardware address, because the guest would see
 * one device, even in different networks, or an address of one network.
 *
 * @param prefixOf What the field names of a nic begin with.
 */
export function checkNics(
  nics: readonly VirtualMachineNIC[],
  prefixOf: (index: number) => string,
): void {
  const indexOf = new Map<string, number>();
  for (const [i, nic] of nics.entries()) {
    const { networkName, ipv4Address, ipv6Address } = nic;
    const field = (name: string) => prefixOf(i) + name;
    if (networkName === "") throw invalid(field("network_name"), "must be set");
    checkLimits(prefixOf(i), nic);
    const hardwareAddress =
      nic.hardwareAddress === ""
        ? ""
        : parseHardwareAddress(field("hardware_address"), nic.hardwareAddress);
    for (const [name, address, where] of [
      ["hardware_address", hardwareAddress, ""],
      ["ipv4_address", ipv4Address, networkName],
      ["ipv6_address", canonicalAddress(ipv6Address), networkName],
      ...nic.secondaryAddresses.map((address, j) => {
        return [`secondary_addresses[${j}]`, canonicalAddress(address), networkName] as const;
      }),
      ...nic.allowedAddresses.map((address, j) => {
        return [`allowed_addresses[${j}]`, canonicalAddress(address), networkName] as const;
      }),
    ] as const) {
      if (isNoAddress(address)) continue;
      const other = indexOf.get(`${where}/${address}`);
      if (other !== undefined) {
        throw invalid(field(name), `${address} is also that of nics[${other}]`);
      }
      indexOf.set(`${where}/${address}`, i);
    }
  }
}
