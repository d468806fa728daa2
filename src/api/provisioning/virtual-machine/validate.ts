import type { CreateVirtualMachineRequest } from "../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { canonicalAddress } from "../../../util/cidr.ts";
import { invalid } from "../../../util/errors.ts";
import { parseHardwareAddress } from "../../../util/hardware-address.ts";
import { quote } from "../../../util/quote.ts";
import { nameOnNode, type Ref } from "../../../util/ref.ts";
import { parseSshPublicKey } from "../../../util/ssh-key.ts";
import { parseUuid, uuidV5 } from "../../../util/uuid.ts";
import { NO_ADDRESS } from "../../network/interface/interfaces.ts";

/** The original's, so that a name gives the same UUID. */
const UUID_NAMESPACE = "a015d18d-b2c3-4181-8028-6f707ef31c95";
const MEMORY_BYTES_MIN = 16n << 20n;
/** QEMU's machine type `pc` has no more. */
const VCPUS_MAX = 255;

export interface Size {
  readonly requestCpuMilliCore: number;
  readonly limitCpuMilliCore: number;
  readonly requestMemoryBytes: bigint;
  readonly limitMemoryBytes: bigint;
}

/** A limit that is not given is what is requested; of the processor, rounded up to whole vCPUs. */
export function withLimits(size: Size): Size {
  const { requestCpuMilliCore, limitCpuMilliCore, requestMemoryBytes, limitMemoryBytes } = size;
  return {
    requestCpuMilliCore,
    limitCpuMilliCore: limitCpuMilliCore || Math.ceil(requestCpuMilliCore / 1000) * 1000,
    requestMemoryBytes,
    limitMemoryBytes: limitMemoryBytes || requestMemoryBytes,
  };
}

/** @throws N0Error `invalid_argument`: what is reserved must be what the guest can count on. */
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
}

/** What the rules of the proto do not say. @throws N0Error `invalid_argument` naming the field. */
export function checkCreate(ref: Ref, request: CreateVirtualMachineRequest): CheckedCreate {
  checkSize(request);
  const { uuid: asked } = request;
  const uuid = asked === "" ? uuidV5(UUID_NAMESPACE, nameOnNode(ref)) : parseUuid(asked);
  if (uuid === undefined) throw invalid("uuid", `${quote(asked)} is no UUID`);
  if (request.loginUsername !== "" && !/^[a-z_][a-z0-9_-]{0,31}$/.test(request.loginUsername)) {
    throw invalid(
      "login_username",
      "must be a lower-case letter or _, then up to 31 lower-case letters, digits, _ or -",
    );
  }
  const sshAuthorizedKeys = request.sshAuthorizedKeys.map((text, i) =>
    parseSshPublicKey(`ssh_authorized_keys[${i}]`, text),
  );
  checkNics(request);
  return { uuid, sshAuthorizedKeys };
}

/**
 * What two nics of one virtual machine cannot both ask for: a hardware address, which would make two devices
 * one for the guest also in different networks, and an address of one network.
 */
function checkNics({ nics }: CreateVirtualMachineRequest): void {
  const indexOf = new Map<string, number>();
  for (const [i, nic] of nics.entries()) {
    const { networkName, ipv4Address, ipv6Address } = nic;
    if (networkName === "") throw invalid(`nics[${i}].network_name`, "must be set");
    const field = (name: string) => `nics[${i}].${name}`;
    const hardwareAddress =
      nic.hardwareAddress === ""
        ? ""
        : parseHardwareAddress(field("hardware_address"), nic.hardwareAddress);
    for (const [name, address, where] of [
      ["hardware_address", hardwareAddress, ""],
      ["ipv4_address", ipv4Address, networkName],
      ["ipv6_address", canonicalAddress(ipv6Address), networkName],
    ] as const) {
      if (address === "" || address === NO_ADDRESS) continue;
      const other = indexOf.get(`${where}/${address}`);
      if (other !== undefined) {
        throw invalid(field(name), `${address} is that of nics[${other}] as well`);
      }
      indexOf.set(`${where}/${address}`, i);
    }
  }
}
