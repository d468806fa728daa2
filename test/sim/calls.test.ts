import { expect, test } from "vitest";
import { resources } from "../../src/api/resources.ts";
import { READS } from "../reading.ts";
import { CALLS } from "./calls.ts";

/** What registers nodes, and the operator of the simulation, send these. */
const OF_OTHERS = ["ApplyNode", "HeartbeatNode", "SetNodeLost"];

test("the simulated clients send every RPC that changes something", () => {
  const rpcs = resources.flatMap(({ service }) => service.methods.map(({ name }) => name));
  const changing = rpcs.filter((rpc) => !READS.test(rpc) && !OF_OTHERS.includes(rpc));
  expect(changing.filter((rpc) => CALLS[rpc] === undefined)).toEqual([]);
});
