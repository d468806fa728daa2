import { readFileSync } from "node:fs";

export interface SandboxLimits {
  /** Of the address space. */
  readonly memoryBytes: number;
  readonly cpuSeconds: number;
  /** No file that it writes grows larger. */
  readonly fileBytes: bigint;
}

/** Of those that systemd's uids-gids.md leaves to nobody; one for each sandbox that runs at once. */
const UID_FIRST = 1_879_048_192;
const UID_NOBODY = 65_534;
const OPEN_FILES_MAX = 64;
/** Of its user, and so of this sandbox alone. */
const PROCESSES_MAX = 256;

/**
 * Hides what others of the node have in these folders, and the sockets of its services. What the command
 * has open stays open.
 */
const HIDE_AND_RUN = `
for folder in /dev/shm /home /media /mnt /root /run /srv /tmp /var; do
  [ ! -d $folder ] || mount -n -t tmpfs -o ro,nosuid,nodev,noexec,size=4k,mode=0 none $folder || exit 1
done
exec "$@"`;

/** The user and group of a sandbox; undefined where this process may not choose one, and keeps its own. */
export function sandboxUid(index: number): number | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const map = readFileSync("/proc/self/uid_map", "utf8");
  return [UID_FIRST + index, UID_NOBODY].find((uid) => isMapped(map, uid));
}

/** In a container there may be fewer users. Each line has a first one inside, one outside, and a count. */
function isMapped(map: string, uid: number): boolean {
  return map.split("\n").some((line) => {
    const [first = Number.NaN, , count = 0] = line.trim().split(/\s+/).map(Number);
    return uid >= first && uid < first + count;
  });
}

/**
 * The command line that runs `argv` as `uid` with no capability, no network, these limits, and little of
 * the node's files in sight. It finds what it may use open, as `/proc/self/fd/3` and on. With no `uid` the
 * limits are all there is.
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
    // The kernel forgets what is sent at the parent's death where the user changes.
    ...["setpriv", "--pdeathsig", "KILL", ...user, ...powers, "--", ...argv],
  ];
}

/** Whether it is the sandbox that failed, and not what ran in it. */
export function isSandboxFault(stderr: string): boolean {
  return /^(?:unshare|sh|mount|prlimit|setpriv): /.test(stderr);
}
