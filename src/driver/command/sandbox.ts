import { readFileSync } from "node:fs";

export interface SandboxLimits {
  /** The limit of the address space. */
  readonly memoryBytes: number;
  readonly cpuSeconds: number;
  /** The limit of the size of each file that it writes. */
  readonly fileBytes: bigint;
}

/** User ids that systemd's uids-gids.md assigns to nobody: one for each sandbox that runs at the same time. */
const UID_FIRST = 1_879_048_192;
const UID_NOBODY = 65_534;
const OPEN_FILES_MAX = 64;
/** The limit of the processes of its user, which no other sandbox has. */
const PROCESSES_MAX = 256;

/**
 * Hides these folders, which hold data of others on the node and sockets of its services. Files that the
 * command has open stay open.
 */
const HIDE_AND_RUN = `
for folder in /dev/shm /home /media /mnt /root /run /srv /tmp /var; do
  [ ! -d $folder ] || mount -n -t tmpfs -o ro,nosuid,nodev,noexec,size=4k,mode=0 none $folder || exit 1
done
exec "$@"`;

/** The user and group of a sandbox; undefined if this process cannot change its user, and keeps its own. */
export function sandboxUid(index: number): number | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const map = readFileSync("/proc/self/uid_map", "utf8");
  return [UID_FIRST + index, UID_NOBODY].find((uid) => isMapped(map, uid));
}

/** A container may have fewer users. Each line holds the first id inside, the first id outside, and a count. */
function isMapped(map: string, uid: number): boolean {
  return map.split("\n").some((line) => {
    const [first = Number.NaN, , count = 0] = line.trim().split(/\s+/).map(Number);
    return uid >= first && uid < first + count;
  });
}

/**
 * The command line that runs `argv` as `uid`, with no capability, no network, these limits, and few files of
 * the node in sight. The command gets its files open, as `/proc/self/fd/3` and on. Without a `uid`, only the
 * limits apply.
 */
export function sandboxed(
  uid: number | undefined,
  { memoryBytes, cpuSeconds, fileBytes }: SandboxLimits,
  argv: readonly string[],
): readonly [file: string, ...args: string[]] {
  const limits = [
    `--as=${memoryBytes}`,
    `--cpu=${cpuSeconds}`,
    `--fsize=${fileBytes}`,
    `--nofile=${OPEN_FILES_MAX}`,
    "--core=0",
  ];
  if (uid === undefined) return ["prlimit", ...limits, "--", ...argv];
  const user = [`--reuid=${uid}`, `--regid=${uid}`, "--clear-groups"];
  const powers = ["--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"];
  return [
    "unshare",
    ...["--net", "--ipc", "--mount", "--", "sh", "-c", HIDE_AND_RUN, "sh"],
    ...["prlimit", ...limits, `--nproc=${PROCESSES_MAX}`, "--"],
    // The kernel forgets this signal when the user changes, so setpriv sets it after that.
    ...["setpriv", "--pdeathsig", "KILL", ...user, ...powers, "--", ...argv],
  ];
}

/** Whether the sandbox failed, and not the command in it. */
export function isSandboxFault(stderr: string): boolean {
  return /^(?:unshare|sh|mount|prlimit|setpriv): /.test(stderr);
}
