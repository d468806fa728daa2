import { type ErrorKind, N0Error } from "../../../util/errors.ts";
import { ownerOnNode } from "../../../util/ref.ts";
import type { VirError } from "./bindings.ts";
import { lastWords, withoutWarnings } from "./last-words.ts";

/** The virErrorNumber values that we tell apart (libvirt/virterror.h). */
export const VIR_ERR = {
  noMemory: 2,
  noConnect: 5,
  invalidConnection: 6,
  invalidDomain: 7,
  invalidArgument: 8,
  xmlError: 27,
  xmlDetail: 35,
  rpc: 39,
  noDomain: 42,
  operationInvalid: 55,
  operationTimeout: 68,
  noDomainMetadata: 80,
  xmlInvalidSchema: 92,
} as const;

/** VIR_FROM_RPC: the connection itself failed, not the request. */
const FROM_RPC = 7;

const SAID_LENGTH_MAX = 4096;

/** What is known besides the error. */
export interface Circumstances {
  /** The last line of QEMU in the domain's log. libvirt does not always quote it. */
  readonly logLine?: string | undefined;
  /** The kernel has killed processes for lack of memory in the meantime. */
  readonly hasLackedMemory?: boolean;
}

interface Meaning {
  readonly kind: ErrorKind;
  /** The reason, and what to do next. */
  readonly words: string;
}

const NO_ANSWER: Meaning = {
  kind: "unavailable",
  words: "the hypervisor does not answer, try again",
};
const QEMU_ENDED: Meaning = {
  kind: "unavailable",
  words: "its QEMU ended unexpectedly, try again",
};
const LACKED_MEMORY: Meaning = {
  kind: "resource_exhausted",
  words: "its QEMU ended while the node was short of memory",
};
const REFUSED: Meaning = { kind: "failed_precondition", words: "the hypervisor refuses it" };
/** A request of ours that makes no sense. */
const OUR_BUG: Meaning = {
  kind: "internal",
  words: "the hypervisor does not understand the request",
};

/** The errors whose code alone is enough. */
const BY_CODE: ReadonlyMap<number, Meaning> = new Map([
  [VIR_ERR.noMemory, { kind: "resource_exhausted", words: "the node has not enough memory" }],
  [VIR_ERR.noConnect, NO_ANSWER],
  [VIR_ERR.invalidConnection, NO_ANSWER],
  [VIR_ERR.rpc, NO_ANSWER],
  [
    VIR_ERR.operationTimeout,
    { kind: "unavailable", words: "the hypervisor is busy with another job of it, try again" },
  ],
  [
    VIR_ERR.operationInvalid,
    { kind: "failed_precondition", words: "the hypervisor refuses it in its present state" },
  ],
  [VIR_ERR.noDomain, { kind: "aborted", words: "somebody has just removed it, try again" }],
  [VIR_ERR.invalidDomain, OUR_BUG],
  [VIR_ERR.invalidArgument, OUR_BUG],
  [VIR_ERR.xmlError, OUR_BUG],
  [VIR_ERR.xmlDetail, OUR_BUG],
  [VIR_ERR.xmlInvalidSchema, OUR_BUG],
]);

/** The errors that libvirt tells only in words, its own or QEMU's. The first match counts. */
const BY_WORDS: readonly (readonly [RegExp, ErrorKind, string])[] = [
  [
    /cannot set up guest memory|Cannot allocate memory/i,
    "resource_exhausted",
    "the node has not enough memory for it",
  ],
  [
    /No space left on device|Disk quota exceeded/i,
    "resource_exhausted",
    "the node has not enough disk space for it",
  ],
  [
    /Failed to get "?[\w ]+"? lock|Failed to lock byte|Is another process using the image/i,
    "failed_precondition",
    "one of its disks is in use by another process: detach it there first",
  ],
  [
    /Too many open files|cannot fork|Resource temporarily unavailable/i,
    "resource_exhausted",
    "the node has reached its limit of processes or open files",
  ],
  [
    /already (exists|defined) with uuid|domain .* already exists/i,
    "failed_precondition",
    "another domain of the node has its name or uuid: rename it, or remove the other",
  ],
  [
    /tap device .*busy|\/dev\/net\/tun.*busy/i,
    "failed_precondition",
    "one of its taps is in use by another process: end that process first",
  ],
  [
    /tap device|\/dev\/net\/tun|TUNSETIFF|Cannot get interface/i,
    "failed_precondition",
    "one of its taps is missing or is not a tap: attach it first",
  ],
  [
    /Failed to terminate process/i,
    "unavailable",
    "its QEMU does not end, perhaps because a disk does not answer; try again",
  ],
  [
    /double use of PCI Address/i,
    "failed_precondition",
    "the PCI slot of the nic is taken: shut it down first",
  ],
  [/not assigned to domain/i, "failed_precondition", "it has no such disk: run verify to find it"],
  [
    /Image is not in \w+ format|Image is corrupt|not a \w+ image/i,
    "failed_precondition",
    "one of its disks is damaged: restore it, or detach it",
  ],
  [
    /(Cannot access storage file|Could not open|unable to open|cannot open file|cannot read header).*: (No such file|Not a directory)/is,
    "failed_precondition",
    "one of its disks is missing on the node: make it first",
  ],
  [
    /(Cannot access (storage|backing) file|Could not open|Failed to bind socket).*: Permission denied/is,
    "failed_precondition",
    "QEMU's user has no access to its files on the node: check the modes of the folders above them",
  ],
  [
    /Cannot access storage file|Could not open|unable to open|cannot open file|cannot read header|Could not reopen|to be a regular file/i,
    "failed_precondition",
    "one of its disks cannot be opened on the node: check its file",
  ],
  [
    /access KVM|initialize kvm|KVM_CREATE_VM|KVM is not available/i,
    "failed_precondition",
    "KVM does not work on the node: repair it, or set the accelerator of its agent to tcg",
  ],
  [/terminating on signal|Assertion .* failed/i, QEMU_ENDED.kind, QEMU_ENDED.words],
];

/** QEMU has ended, and libvirt says only how it noticed. */
function hasEndedInSilence(message: string): boolean {
  return (
    lastWords(message) === undefined ||
    /(read from|write to) monitor|connect to monitor socket|End of file/i.test(message)
  );
}

/**
 * The error of a failed call in words for clients, with the last words of QEMU or libvirt. Its `cause` holds
 * all of their words. The kind says whether to try again: `internal` means that our request was wrong.
 *
 * A killed QEMU says nothing. libvirt is not its parent, so it does not know the signal.
 *
 * @param name undefined if the call was about all domains.
 */
export function toN0Error(
  action: string,
  name: string | undefined,
  error: VirError | undefined,
  circumstances: Circumstances = {},
): N0Error {
  const { logLine } = circumstances;
  const message = error?.message ?? "no error";
  // If a start failed before QEMU ran, the log ends with the words of an earlier QEMU.
  const isSilent = hasEndedInSilence(withoutWarnings(message));
  const said = logLine !== undefined && isSilent ? `${message}: ${logLine}` : message;
  const known = bounded(withoutWarnings(said));
  const facts = {
    ...(name === undefined ? {} : { resource: ownerOnNode("virtual_machine", name) }),
    cause: new Error(`libvirt: ${said} (code ${error?.code}, domain ${error?.domain})`),
  };
  const { kind, words } = error === undefined ? OUR_BUG : meaningOf(error, known, circumstances);
  const what = name === undefined ? "the virtual machines" : `virtual machine "${name}"`;
  return new N0Error(kind, `cannot ${action} ${what}: ${words}${quote(known)}`, facts);
}

/**
 * Some patterns search from each place to the end, so the text must be short. libvirt says first what failed,
 * and QEMU says it last.
 */
function bounded(said: string): string {
  if (said.length <= 2 * SAID_LENGTH_MAX) return said;
  return `${said.slice(0, SAID_LENGTH_MAX)}\n${said.slice(-SAID_LENGTH_MAX)}`;
}

function meaningOf(error: VirError, known: string, { hasLackedMemory }: Circumstances): Meaning {
  if (error.domain === FROM_RPC) return NO_ANSWER;
  const byWords = BY_WORDS.find(([pattern]) => pattern.test(known));
  if (byWords !== undefined) return { kind: byWords[1], words: byWords[2] };
  if (hasEndedInSilence(known)) {
    return hasLackedMemory === true ? LACKED_MEMORY : QEMU_ENDED;
  }
  return BY_CODE.get(error.code) ?? REFUSED;
}

/** The last words in parentheses, for the end of a message. */
export function quote(said: string): string {
  const words = lastWords(said);
  return words === undefined ? "" : ` (${words.by}: ${words.text})`;
}
