import { test } from "vitest";
import { expectAllWell } from "./run-here.ts";

/** Another one each day, or the one that is asked for. */
const today = new Date().toISOString().slice(0, 10).replaceAll("-", "");
const seed = Number(process.env["N0_SIM_SEED"] ?? today);

test("10,000 requests with a seed of today", { timeout: 600_000 }, () => expectAllWell(seed));
