import { createRouterTransport } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { newWorld } from "../../../test/world.ts";
import { Agents } from "./agents.ts";

test("an agent is reached by its node's name and address, anew where the address has changed", async () => {
  await using world = await newWorld();
  const asked: (readonly [string, string])[] = [];
  const agents = new Agents(world.opened.api.inventory, {
    agentTransport: (address, nodeName) => {
      asked.push([address, nodeName]);
      return createRouterTransport(() => {});
    },
  });
  for (let i = 0; i < 2; i += 1) agents.get("node-1");
  await world.nodes.applyNode({ name: "node-1", address: "elsewhere:1" });
  await world.seen();
  for (let i = 0; i < 2; i += 1) expect(agents.get("node-1").address).toBe("elsewhere:1");
  expect(asked).toEqual([
    ["node-1:20181", "node-1"],
    ["elsewhere:1", "node-1"],
  ]);
});
