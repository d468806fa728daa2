import type { RemoveAll } from "../../../../test/attack/clean-up.ts";
import { errorOf } from "../../../../test/attack/clients.ts";
import { COMPUTE, type Examples, MIB, NODE_NAME } from "../../../../test/attack/example-parts.ts";

export const examples: Examples = {
  ApplyNode: {
    name: "b",
    address: "127.0.0.1:1",
    cpuMilliCores: 1000,
    memoryBytes: MIB,
    storageBytes: MIB,
  },
  ReserveCompute: { nodeName: NODE_NAME, computeName: "a", ...COMPUTE },
  ScheduleCompute: { computeName: "a", ...COMPUTE },
  ReserveStorage: { nodeName: NODE_NAME, storageName: "a", requestBytes: MIB, limitBytes: MIB },
  ReleaseCompute: { nodeName: NODE_NAME, computeName: "a" },
  ReleaseStorage: { nodeName: NODE_NAME, storageName: "a" },
};

export const removeAll: RemoveAll = async ({ nodes }, remove) => {
  for (const node of (await nodes.listNodes({})).nodes) {
    const { name: nodeName } = node;
    for (const computeName of Object.keys(node.reservedComputes)) {
      await errorOf(nodes.releaseCompute({ nodeName, computeName }));
    }
    for (const storageName of Object.keys(node.reservedStorages)) {
      await errorOf(nodes.releaseStorage({ nodeName, storageName }));
    }
    if (nodeName !== NODE_NAME)
      await remove(`node ${nodeName}`, nodes.deleteNode({ name: nodeName }));
  }
};
