import { fakeConsole } from "./console.ts";
import { fakeDefinition } from "./definition.ts";
import { fakeDisks } from "./disks.ts";
import type { FakeComputeDriver, FakeComputeOptions } from "./fake-compute.ts";
import { FakeNode } from "./fake-node.ts";
import { fakeFolders } from "./folders.ts";
import { fakeHands } from "./hands.ts";
import { fakeNics } from "./nics.ts";
import { fakePower } from "./power.ts";

/** A hypervisor in memory. Passes the same suite as the real one. */
export function createFakeComputeDriver(options: FakeComputeOptions = {}): FakeComputeDriver {
  const node = new FakeNode(options);
  return {
    accelerator: "tcg",
    ...fakeDefinition(node),
    ...fakePower(node),
    ...fakeDisks(node),
    ...fakeNics(node),
    ...fakeConsole(node),
    ...fakeFolders(node),
    ...fakeHands(node),
    async [Symbol.asyncDispose]() {
      node.listeners.clear();
    },
  };
}
