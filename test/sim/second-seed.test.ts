import { test } from "vitest";
import { SEED } from "../seeds.ts";
import { expectAllWell } from "./run-here.ts";

test(
  "10,000 requests with the next seed, to an API that is told late of what is written",
  {
    timeout: 600_000,
  },
  () => expectAllWell(SEED + 1, { deliversLate: true }),
);
