import { test } from "vitest";
import { SEED } from "../seeds.ts";
import { expectAllWell } from "./run-here.ts";

test("10,000 requests with the seed of this run", { timeout: 600_000 }, () => expectAllWell(SEED));
