import { spawnSync } from "node:child_process";
import process from "node:process";

/** The requirements of a test on the real node. */
export type Requirement =
  | "root"
  | "libvirt"
  | "qemu-img"
  | "netns"
  | "chromium"
  | "pebble"
  | "python3-grpc";

const PROBES: Readonly<Record<Requirement, () => boolean>> = {
  root: () => process.getuid?.() === 0,
  libvirt: () => succeeds("virsh", "--connect", "qemu:///system", "version"),
  "qemu-img": () => succeeds("qemu-img", "--version"),
  netns: () => succeeds("unshare", "--net", "ip", "link", "add", "n0-probe", "type", "bridge"),
  chromium: () => succeeds("chromium", "--version"),
  pebble: () => succeeds("pebble", "-help"),
  // Debian's own: another one on the PATH does not know its packages.
  "python3-grpc": () => succeeds("/usr/bin/python3", "-c", "import grpc, grpc_tools"),
};

const found = new Map<Requirement, boolean>();

/**
 * True if the node has it: `describe.runIf(requirement("root") && requirement("libvirt"))(…)`. Otherwise prints
 * that the test is skipped; on CI, where every test must run, it fails.
 *
 * @throws Error with CI=true in the environment and the requirement missing.
 */
export function requirement(name: Requirement): boolean {
  const known = found.get(name);
  if (known !== undefined) return known;
  const isThere = PROBES[name]();
  found.set(name, isThere);
  if (isThere) return true;
  if (process.env["CI"] === "true") {
    throw new Error(`${name} is missing, and CI=true: the tests that need it must run here`);
  }
  console.warn(`SKIPPED: the tests that need ${name}, which this host does not have`);
  return false;
}

function succeeds(file: string, ...args: string[]): boolean {
  return spawnSync(file, args, { stdio: "ignore", timeout: 20_000 }).status === 0;
}
