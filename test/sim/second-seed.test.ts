import { test } from "vitest";
import { SEED } from "../seeds.ts";
import { expectAllWell } from "./run-here.ts";

test("10,000 requests with the next seed", { timeout: 600_000 }, () => expectAllWell(SEED + 1));
