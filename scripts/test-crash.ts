// npm run test:crash: installs what it needs, and runs a sample of deaths, the same each time. With --all it
// runs the whole matrix, and writes the rows of the scenarios that it has finished to docs/crash-matrix.md, where
// those of others stay. Other arguments go to vitest.
//
//   N0_SEED=7 N0_CRASH_UNITS=40 npm run test:crash
//   N0_CRASH_ONLY="CreateVirtualMachine.*split" N0_CRASH_DEATH="disk|clock" npm run test:crash -- --all
//
// The whole matrix continues where it was interrupted, by N0_CRASH_SECONDS (it ends after the case at hand) or
// otherwise, as long as the sources are the same: .cache/crash keeps its results. N0_CRASH_LANES clusters run side by side.
import process from "node:process";
import { mustBeRoot, onPreparedHost, prepareOrEnd } from "./prepared-host.ts";
import { runProgram } from "./run-program.ts";
import { runTests } from "./run-shown.ts";

await runProgram("test:crash", async () => {
  mustBeRoot("test:crash");
  const given = process.argv.slice(2);
  if (given.includes("--all")) process.env["N0_CRASH_ALL"] = "1";
  const others = given.filter((argument) => argument !== "--all");
  // Prints each finding at once, because the whole matrix takes long.
  const shown = "--disable-console-intercept";
  const isPassed = await onPreparedHost(prepareOrEnd, ["node", "test"], () =>
    runTests(...others, "--project", "crash", shown),
  );
  return isPassed ? 0 : 1;
});
