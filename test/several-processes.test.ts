// What two API processes do that share one datastore, and know nothing else of each other.
import { Code, ConnectError } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { openApi } from "../src/api/api.ts";
import { lateDelivery } from "../src/datastore/late-delivery.ts";
import { LockTable } from "../src/datastore/lock-table.ts";
import { memoryDatastore } from "../src/datastore/memory/memory-datastore.ts";
import { QuotaService } from "../src/gen/n0stack/budget/v1alpha1/quota_pb.ts";
import { serverInterceptors } from "../src/rpc/interceptors.ts";
import { localTransport } from "../src/rpc/local-transport.ts";
import { systemClock } from "../src/util/clock.ts";
import { silentLog } from "../src/util/log.ts";
import { clientsOf } from "./clients.ts";
import { SEED } from "./seeds.ts";
import { newDice, randomOf } from "./sim/dice.ts";

async function newProcesses(count: number) {
  const shared = memoryDatastore();
  const sharedLocks = new LockTable();
  const stack = new AsyncDisposableStack();
  const processes = [];
  for (let i = 0; i < count; i++) {
    const random = randomOf(newDice(SEED + i));
    const late = { clock: systemClock, random, delayMsMax: 5 };
    const opened = stack.use(
      await openApi({
        datastore: await lateDelivery(shared, late),
        sharedLocks,
        agentTransport: () => {
          throw new Error("there is no node");
        },
        links: { consoleUrl: async ({ name }) => name, downloadUrl: async ({ name }) => name },
        nameservers: [],
        openTransactionsMax: 1_000,
        clock: systemClock,
        random,
        log: silentLog,
      }),
    );
    const interceptors = serverInterceptors(silentLog);
    processes.push(clientsOf(localTransport(opened.routes, { interceptors })));
  }
  return { processes, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

test("two processes fill a network with addresses that nobody asked for, and none is told that one is taken", async () => {
  await using world = await newProcesses(2);
  const [one, other] = world.processes.map(({ networks }) => networks);
  await one!.applyNetwork({ name: "net", ipv4Cidr: "10.0.0.0/26" });
  // All but the gateway's.
  const made = await Promise.allSettled(
    Array.from({ length: 61 }, (_, i) =>
      (i % 2 === 0 ? one! : other!).reserveNetworkInterface({
        networkName: "net",
        networkInterfaceName: `i${i}`,
      }),
    ),
  );
  expect(made.filter(({ status }) => status === "rejected")).toEqual([]);
  const { reservedNetworkInterfaces } = await other!.getNetwork({ name: "net" });
  const addresses = Object.values(reservedNetworkInterfaces).map((i) => i.ipv4Address);
  expect(new Set(addresses).size).toBe(62);
  const more = { networkName: "net", networkInterfaceName: "more" };
  await expect(other!.reserveNetworkInterface(more)).rejects.toThrow(/no free IPv4 address/);
});

test("three processes never pass a quota by one, and give out all of it", async () => {
  await using world = await newProcesses(3);
  const [one] = world.processes;
  const quota = (limit: bigint) =>
    one!.client(QuotaService).setQuota({ limits: { images: limit } });
  await quota(50n);
  let made = 0;
  const create = async (name: string, i: number): Promise<void> => {
    try {
      await world.processes[i % 3]!.images.applyImage({ name });
      made++;
    } catch (reason) {
      const { code, message } = ConnectError.from(reason);
      // On a busy computer the others may take the turn each time, and the client is told to try again.
      if (code === Code.Aborted) return await create(name, i);
      expect(message).toContain("no quota left for images");
    }
  };
  await Promise.all(Array.from({ length: 100 }, (_, i) => create(`a${i}`, i)));
  expect(made).toBe(50);
  // Set while all of them create: what each grants has counted what the others granted before.
  await quota(1_000n);
  const all = Array.from({ length: 100 }, (_, i) => create(`b${i}`, i));
  await Promise.all(all.slice(0, 5));
  await quota(120n);
  await Promise.all(all);
  const before = made;
  await Promise.all(Array.from({ length: 100 }, (_, i) => create(`c${i}`, i)));
  expect(made).toBe(Math.max(before, 120));
  for (const { images } of world.processes) {
    expect((await images.listImages({})).images).toHaveLength(made);
  }
});
