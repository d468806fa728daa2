import { randomUUID } from "node:crypto";
import { API_PORT_DEFAULT, openTransport } from "../src/rpc/transport.ts";
import { clientsOf } from "../test/clients.ts";
import type { LoadOrder } from "./load.ts";
import { spread, timed } from "./measurement.ts";

// Sends CreateVirtualMachine requests to an API in another process. Each has its own idempotency key, as from
// n0cli. Reports how long each took.
process.on("message", (order: LoadOrder) => void load(order));
process.send!({ kind: "ready" });

async function load({ url, requests, width, project = "default" }: LoadOrder): Promise<void> {
  const transport = openTransport(url, API_PORT_DEFAULT);
  const { virtualMachines } = clientsOf(transport);
  await virtualMachines.listVirtualMachines({ pageSize: 1 });
  let tookMs: number[] = [];
  const totalMs = await timed(async () => {
    tookMs = await spread(requests.length, width, (i) =>
      virtualMachines.createVirtualMachine(requests[i]!, {
        headers: { "idempotency-key": randomUUID(), "n0-project": project },
      }),
    );
  });
  transport.close();
  process.send!({ kind: "report", tookMs, totalMs });
  process.disconnect();
}
