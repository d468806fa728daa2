import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";

interface Group {
  readonly groupOrder: number;
  readonly testTimeoutMs: number;
  /** Files at the same time. */
  readonly maxWorkers: number;
}

/** How long `expect.poll` asks. Its default, a second, is short on a busy machine. It is below each test's own. */
const patient = { poll: { timeout: 20_000 } };

/** Tests of the real node. */
function onHost(name: string, { groupOrder, testTimeoutMs, maxWorkers }: Group) {
  return {
    test: {
      name,
      include: [`test/${name}/**/*.test.ts`],
      maxWorkers,
      fileParallelism: maxWorkers > 1,
      sequence: { groupOrder },
      testTimeout: testTimeoutMs,
      hookTimeout: 120_000,
      expect: patient,
    },
  };
}

// Each file has a prefix of its own for all that it makes on the node. It mostly waits for guests and programs,
// so there are more of them than processors.
const sideBySide = { maxWorkers: Math.ceil(availableParallelism() * 1.5) };
// The crash sample has lanes of its own, and each of its files removes what dead runs left. The attack judges
// how soon servers answer. A lab joins this computer to a network of its own, which agents of other tests see.
const alone = { maxWorkers: 1 };

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
          expect: patient,
        },
      },
      onHost("node", { ...sideBySide, groupOrder: 1, testTimeoutMs: 120_000 }),
      onHost("crash", { ...alone, groupOrder: 2, testTimeoutMs: 120_000 }),
      onHost("e2e", { ...sideBySide, groupOrder: 3, testTimeoutMs: 180_000 }),
      onHost("lab", { ...alone, groupOrder: 4, testTimeoutMs: 180_000 }),
      onHost("attack", { ...alone, groupOrder: 5, testTimeoutMs: 300_000 }),
    ],
  },
});
