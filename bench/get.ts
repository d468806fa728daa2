import { createServer } from "node:http2";
import { createClient } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { VirtualMachineService } from "../src/gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { API_PORT_DEFAULT, openTransport } from "../src/rpc/transport.ts";
import { openFakeCloud } from "./control-plane.ts";
import { inTurn, type Measurement, median, timed } from "./measurement.ts";
import { seededName, seedMachines } from "./seed-machines.ts";

const MACHINES = 1_000;
const CALLS = 200;

/** GetVirtualMachine, compared with a Connect handler that answers an empty message, by the same client. */
export const get: Measurement = {
  name: "get",
  async run({ runs }) {
    await using cloud = await openFakeCloud(10);
    await seedMachines(cloud, MACHINES);
    await using empty = await openEmptyServer();
    const callAll = (client: typeof empty.client) => async () =>
      (await timed(async () => {
        for (let i = 0; i < CALLS; i++) await client.getVirtualMachine({ name: seededName(i) });
      })) / CALLS;
    const { floor, ours } = await inTurn(runs * 3, {
      floor: callAll(empty.client),
      ours: callAll(cloud.virtualMachines),
    });
    return [
      {
        what: "get over the wire, against an empty Connect handler",
        unit: "ms",
        floor: median(floor),
        ours: median(ours),
        bar: { atMost: 1.3 },
        note: `${CALLS} calls, one after the other, on one HTTP/2 connection. The floor has no interceptor, no log and no validation, and answers an empty message. The virtual machine in the answer is a third of the difference; the line of log, the request id and the rules of the proto are another third. A faster computer shows a larger ratio, because its sockets hide less`,
      },
    ];
  },
};

async function openEmptyServer() {
  const server = createServer(
    connectNodeAdapter({
      routes: (router) => router.service(VirtualMachineService, { getVirtualMachine: () => ({}) }),
    }),
  );
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("a server without a port");
  const transport = openTransport(`127.0.0.1:${address.port}`, API_PORT_DEFAULT);
  return {
    client: createClient(VirtualMachineService, transport),
    async [Symbol.asyncDispose]() {
      transport.close();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
