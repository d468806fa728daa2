import { createClient } from "@connectrpc/connect";
import { VerifyService } from "../src/gen/n0stack/verify/v1alpha1/verify_pb.ts";
import { API_PORT_DEFAULT, openTransport } from "../src/rpc/transport.ts";
import { diskRequest, machineRequest, openFakeCloud } from "./control-plane.ts";
import { type Measurement, median, spread, timed } from "./measurement.ts";

const NODES = 10;
const MACHINES = 1_000;
const IN_FLIGHT = 64;

/** Compares everything on the nodes with the records, while everything is in order. */
export const verify: Measurement = {
  name: "verify",
  async run({ runs }) {
    await using cloud = await openFakeCloud(NODES);
    await spread(MACHINES, IN_FLIGHT, async (i) => {
      const name = `vm-${i}`;
      await cloud.blockStorages.createBlockStorage(diskRequest(name));
      await cloud.virtualMachines.createVirtualMachine(machineRequest(name, name));
    });
    const transport = openTransport(cloud.url, API_PORT_DEFAULT);
    const client = createClient(VerifyService, transport);
    const tookMs: number[] = [];
    for (let run = 0; run <= runs; run++) {
      await cloud.heart.beat();
      const ms = await timed(async () => {
        const { findings, nodes, virtualMachines } = await client.verify({});
        if (findings.length > 0) throw new Error(`findings: ${findings[0]?.code}`);
        if (nodes.some(({ error }) => error !== ""))
          throw new Error("verify did not look at a node");
        if (virtualMachines !== MACHINES)
          throw new Error(`verify looked at ${virtualMachines} virtual machines`);
      });
      if (run > 0) tookMs.push(ms);
    }
    transport.close();
    return [
      {
        what: "verify 1,000 VMs on 10 nodes",
        unit: "s",
        ours: median(tookMs) / 1000,
        bar: { atMost: 3 },
        note: `with a block storage and a nic each, agents and fake drivers in the API's process; the best took ${Math.min(...tookMs).toFixed(0)} ms`,
      },
    ];
  },
};
