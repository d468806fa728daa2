import { execFile } from "node:child_process";
import { readdir } from "node:fs/promises";
import { promisify } from "node:util";

const run = promisify(execFile);

/** Removes everything with the prefix, for a run that failed half-way. A missing thing is not a failure. */
export async function removeRemains(prefix: string, libvirtUri: string): Promise<void> {
  const { stdout } = await run("virsh", ["-c", libvirtUri, "-q", "list", "--all", "--name"]);
  for (const domain of stdout.split("\n").filter((name) => name.startsWith(prefix))) {
    await attempt("virsh", "-c", libvirtUri, "-q", "destroy", domain);
    await attempt("virsh", "-c", libvirtUri, "-q", "undefine", domain);
  }
  const namespaces = await readdir("/run/netns").catch(() => []);
  for (const name of namespaces.filter((file) => file.startsWith(prefix))) {
    await endProcesses(name);
    await attempt("ip", "netns", "delete", name);
  }
  const links = JSON.parse((await run("ip", ["-json", "link"])).stdout) as {
    ifname: string;
    ifalias?: string;
  }[];
  for (const { ifname, ifalias } of links) {
    if (ifalias?.startsWith(`n0stack:${prefix}:`)) await attempt("ip", "link", "delete", ifname);
  }
  for (const head of ["n0stack", "n0segments"]) {
    await attempt("nft", "delete", "table", "inet", `${head}-${prefix}`);
  }
}

/** A namespace without a name lives on with its processes, such as one that an agent had just started. */
async function endProcesses(netns: string): Promise<void> {
  const { stdout } = await run("ip", ["netns", "pids", netns]).catch(() => ({ stdout: "" }));
  for (const pid of stdout.split("\n").filter(Boolean)) await attempt("kill", "-9", pid);
}

/** Fails if there is nothing to remove. */
async function attempt(file: string, ...args: string[]): Promise<void> {
  await run(file, args).catch(() => undefined);
}
