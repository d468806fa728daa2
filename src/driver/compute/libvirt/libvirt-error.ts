import { type ErrorKind, N0Error } from "../../../util/errors.ts";
import type { VirError } from "./bindings.ts";

/** virErrorNumber, as far as it is told apart (libvirt/virterror.h). */
export const VIR_ERR = {
  noMemory: 2,
  noConnect: 5,
  invalidConnection: 6,
  operationFailed: 9,
  systemError: 38,
  rpc: 39,
  noDomain: 42,
  operationInvalid: 55,
  configUnsupported: 67,
  operationTimeout: 68,
  noDomainMetadata: 80,
  resourceBusy: 87,
} as const;

/** VIR_FROM_RPC: the connection itself, not what was asked over it. */
const FROM_RPC = 7;

const KINDS: ReadonlyMap<number, ErrorKind> = new Map([
  [VIR_ERR.noMemory, "resource_exhausted"],
  [VIR_ERR.noConnect, "unavailable"],
  [VIR_ERR.invalidConnection, "unavailable"],
  [VIR_ERR.rpc, "unavailable"],
  [VIR_ERR.operationTimeout, "unavailable"],
  [VIR_ERR.operationInvalid, "failed_precondition"],
  [VIR_ERR.configUnsupported, "failed_precondition"],
  [VIR_ERR.resourceBusy, "failed_precondition"],
]);

/** What libvirt has only words for: kind, and the words that we say instead. */
const WORDS: readonly (readonly [RegExp, ErrorKind, string])[] = [
  [
    /cannot set up guest memory|Cannot allocate memory|No space left on device/i,
    "resource_exhausted",
    "the node has not enough memory or disk space for it",
  ],
  [
    /already (exists|defined) with uuid|domain .* already exists/i,
    "failed_precondition",
    "another domain of the node has its name or uuid: rename it, or remove the other",
  ],
  [
    /Failed to get "?(write|shared)|image is in use|lock/i,
    "failed_precondition",
    "one of its disks is in use by another process: detach it there first",
  ],
  [
    /\/dev\/net\/tun|TUNSETIFF|network interface|Cannot get interface MTU|No such device/i,
    "failed_precondition",
    "one of its taps is missing or in use: make the network ready first",
  ],
  [
    /No such file or directory|Cannot access storage file|Could not open/i,
    "failed_precondition",
    "one of its disks is missing on the node: make it first",
  ],
];

/** What a failed call meant, in words for clients; libvirt's own words go to `cause`. */
export function toN0Error(action: string, name: string, error: VirError | undefined): N0Error {
  const facts = {
    resource: `virtual_machine/${name}`,
    cause: new Error(
      `libvirt: ${error?.message ?? "no error"} (code ${error?.code}, domain ${error?.domain})`,
    ),
  };
  const head = `cannot ${action} virtual machine "${name}"`;
  if (error === undefined) return new N0Error("internal", head, facts);
  if (error.domain === FROM_RPC || KINDS.get(error.code) === "unavailable") {
    return new N0Error("unavailable", `${head}: the hypervisor does not answer, try again`, facts);
  }
  for (const [pattern, kind, words] of WORDS) {
    if (pattern.test(error.message)) return new N0Error(kind, `${head}: ${words}`, facts);
  }
  const kind = KINDS.get(error.code) ?? "internal";
  return new N0Error(kind, `${head}: ${PLAIN_WORDS[kind] ?? "the hypervisor failed"}`, facts);
}

const PLAIN_WORDS: Partial<Record<ErrorKind, string>> = {
  resource_exhausted: "the node has not enough memory",
  failed_precondition: "the hypervisor refuses it in the machine's present state",
};
