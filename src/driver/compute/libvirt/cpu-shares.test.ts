import { expect, test } from "vitest";
import { cpuShares, detectCpuController } from "./cpu-shares.ts";

function files(contents: Record<string, string>): (path: string) => string {
  return (path) => {
    const text = contents[path];
    if (text === undefined) throw new Error(`ENOENT ${path}`);
    return text;
  };
}

test("one core is 1024 shares on cgroup v1 and a weight of 100 on v2, within the kernel's limits", () => {
  expect([1, 500, 1000, 64_000, 1_000_000].map((m) => cpuShares("v1", m))).toEqual([
    2, 512, 1024, 65_536, 262_144,
  ]);
  expect([1, 500, 1000, 64_000, 1_000_000].map((m) => cpuShares("v2", m))).toEqual([
    1, 50, 100, 6400, 10_000,
  ]);
  expect(cpuShares("none", 1000)).toBeUndefined();
});

test("the cgroup version is told by what is mounted", () => {
  const v2 = "/sys/fs/cgroup/cgroup.controllers";
  const v1 = "/proc/self/mounts";
  expect(detectCpuController(files({ [v2]: "cpuset cpu io memory\n" }))).toBe("v2");
  expect(detectCpuController(files({ [v2]: "memory pids\n" }))).toBe("none");
  const mount = "cgroup /sys/fs/cgroup/cpu cgroup rw,nosuid,cpu,cpuacct 0 0\n";
  expect(detectCpuController(files({ [v1]: mount }))).toBe("v1");
  expect(detectCpuController(files({ [v1]: "cgroup /c cgroup rw,cpuset 0 0\n" }))).toBe("none");
  expect(detectCpuController(files({}))).toBe("none");
});
