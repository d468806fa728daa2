// npm run test:node, test:e2e and test:lab: prepare the host, run these tests, and leave the host as it was, except for
// the packages. Arguments go to vitest: npm run test:e2e -- boot-vm.
import process from "node:process";
import { mustBeRoot, onPreparedHost, prepareOrEnd, prepareTinyImage } from "./prepared-host.ts";
import { runProgram } from "./run-program.ts";
import { runTests } from "./run-shown.ts";

const [project = "", ...filters] = process.argv.slice(2);
const name = `test:${project}`;

await runProgram(name, async () => {
  mustBeRoot(name);
  const isPassed = await onPreparedHost(
    prepareOrEnd,
    ["node", "image", "debian", "test"],
    async () => {
      await prepareTinyImage(prepareOrEnd);
      return await runTests("--project", project, ...filters);
    },
  );
  return isPassed ? 0 : 1;
});
