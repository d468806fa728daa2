import { defineConfig } from "vitest/config";

/** Tests of the real node share it: bridges, domains, libvirtd. So one file after the other. */
function alone(name: string, groupOrder: number, testTimeoutMs: number) {
  return {
    test: {
      name,
      include: [`test/${name}/**/*.test.ts`],
      fileParallelism: false,
      sequence: { groupOrder },
      testTimeout: testTimeoutMs,
      hookTimeout: 120_000,
    },
  };
}

export default defineConfig({
  test: {
    // Native modules (SQLite, libvirt) and process.exit do not mix with threads.
    pool: "forks",
    passWithNoTests: false,
    projects: [
      {
        test: {
          name: "unit",
          include: ["{src,cli,scripts,bench}/**/*.test.ts", "test/*.test.ts", "test/sim/*.test.ts"],
          sequence: { groupOrder: 0 },
          // Generous: two shared cores are slow at times, and a test that hangs is rare.
          testTimeout: 30_000,
          hookTimeout: 30_000,
        },
      },
      alone("node", 1, 60_000),
      alone("crash", 2, 120_000),
      alone("e2e", 3, 180_000),
      alone("attack", 4, 300_000),
    ],
  },
});
