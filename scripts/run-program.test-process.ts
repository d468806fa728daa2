// A program like the scripts of package.json, which ends in the requested way.
import { readFileSync } from "node:fs";
import process from "node:process";
import { parseArgs } from "node:util";
import { Failure, runProgram, wrongUse } from "./run-program.ts";
import { runShown } from "./run-shown.ts";

const WAYS: Readonly<Record<string, () => Promise<number>>> = {
  well: async () => 0,
  badly: async () => 3,
  told: async () => {
    throw new Failure();
  },
  failure: async () => {
    throw new Failure("there is no host");
  },
  "wrong use": async () => {
    throw wrongUse("--runs: must be a number");
  },
  "unknown option": async () => {
    parseArgs({ args: ["--nope"], options: {} });
    return 0;
  },
  "refused by the system": async () => String(readFileSync("/nowhere/at/all")).length,
  bug: async () => Number(JSON.parse("{")),
  "no such program": async () => Number(await runShown("n0-no-such-program")),
  "a child that waits": async () => {
    await runShown(
      "sh",
      "-c",
      "sleep 60 & trap 'kill $!; echo told; exit 0' TERM; echo waiting; wait",
    );
    return 0;
  },
};

await runProgram("script", WAYS[process.argv[2] ?? ""]!);
