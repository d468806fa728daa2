import { test } from "vitest";
import { expectAllWell } from "./run-here.ts";

test("10,000 requests with a seed that stays", { timeout: 600_000 }, () => expectAllWell(1));
