import { createClient } from "@connectrpc/connect";
import { resources } from "../src/api/resources.ts";
import { VirtualMachineService } from "../src/gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { listen } from "../src/rpc/listen.ts";
import { API_PORT_DEFAULT, openTransport } from "../src/rpc/transport.ts";
import { openLogFile } from "../src/serve/log-file.ts";
import { openLog } from "../src/util/log.ts";
import { tenantBinding } from "../test/projects.ts";
import { type ControlPlane, openFakeCloud } from "./control-plane.ts";
import { inTurn, type Measurement, median, timed } from "./measurement.ts";
import { seededName, seedMachines } from "./seed-machines.ts";

const MACHINES = 1_000;
const CALLS = 200;
const TOKENS = 1_000;
const PRINCIPAL = "user/mallory";

/** GetVirtualMachine by somebody with one role and one of many tokens, compared with a server for everybody. */
export const access: Measurement = {
  name: "access",
  async run({ runs }) {
    await using cloud = await openFakeCloud(10);
    await seedMachines(cloud, MACHINES);
    await cloud.opened.api.datastore.batch(tenantBinding(PRINCIPAL, "default"));
    await using open = await serveOpen(cloud);
    await using guarded = await serveGuarded(cloud);
    const callAll =
      ({ client }: typeof open) =>
      async () =>
        (await timed(async () => {
          for (let i = 0; i < CALLS; i++) await client.getVirtualMachine({ name: seededName(i) });
        })) / CALLS;
    const { floor, ours } = await inTurn(runs * 3, {
      floor: callAll(open),
      ours: callAll(guarded),
    });
    return [
      {
        what: "get with authentication and authorization, against the same without",
        unit: "ms",
        floor: median(floor),
        ours: median(ours),
        bar: { atMost: 1.1 },
        note: `${CALLS} calls, one after the other, on one HTTP/2 connection, by the owner of one project with one of ${TOKENS} tokens`,
      },
    ];
  },
};

const log = openLog({ level: "info", write: openLogFile("/dev/null", 0).write });
const ADDRESS = { host: "127.0.0.1", port: 0, log };

/** Every caller may do everything, and nothing asks whether. */
async function serveOpen({ opened: { api } }: ControlPlane) {
  const { routes } = resources.find(({ service }) => service === VirtualMachineService)!;
  return await served({
    ...ADDRESS,
    routes: ({ service }) => service(VirtualMachineService, routes(api)),
  });
}

async function serveGuarded({ opened }: ControlPlane) {
  const tokens = Array.from({ length: TOKENS }, (_, i) => `a-token-of-somebody-${i}`);
  const caller = { principal: PRINCIPAL, groups: [] };
  const callers = new Map(tokens.map((token) => [token, caller]));
  return await served(
    {
      ...ADDRESS,
      token: "the-token-of-the-administrator",
      authenticate: (token) => callers.get(token),
      routes: opened.routes,
    },
    tokens[0],
  );
}

async function served(options: Parameters<typeof listen>[0], token?: string) {
  const listener = await listen(options);
  const sent = token === undefined ? {} : { token: { value: token, ownerUid: process.getuid!() } };
  const transport = openTransport(listener.url, API_PORT_DEFAULT, sent);
  return {
    client: createClient(VirtualMachineService, transport),
    async [Symbol.asyncDispose]() {
      transport.close();
      await listener.stop(1_000);
    },
  };
}
