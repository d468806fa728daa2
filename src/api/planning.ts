import type { ConnectRouter } from "@connectrpc/connect";
import type { Datastore, Writes } from "../datastore/datastore.ts";
import { datastoreJournal } from "../datastore/datastore-journal.ts";
import { LockTable } from "../datastore/lock-table.ts";
import { overlayDatastore } from "../datastore/overlay/overlay-datastore.ts";
import { Records } from "../datastore/records.ts";
import { DatastoreSessions } from "../datastore/sessions.ts";
import { TransactionEngine } from "../transaction/engine.ts";
import { noFaults } from "../transaction/faults.ts";
import { type Journal, nodeOf } from "../transaction/journal.ts";
import { RehearsalRegistry } from "../transaction/rehearsal.ts";
import { transactionId } from "../transaction/transaction-id.ts";
import type { Json } from "../util/json.ts";
import { silentLog } from "../util/log.ts";
import type { SagaContext } from "./core/context.ts";
import { Quotas, type QuotasOptions } from "./core/quota/quotas.ts";
import { stepRegistryOf } from "./core/resource/resource.ts";
import { AddressBook } from "./network/interface/address-book.ts";
import { Methods } from "./orchestration/tasks/methods.ts";
import type { Planning } from "./orchestration/tasks/plan-tasks.ts";
import { Inventory } from "./pool/inventory/inventory.ts";
import type { Api } from "./provisioning/context.ts";
import { PlannedStates } from "./provisioning/virtual-machine/domain/planned-states.ts";
import { resources } from "./resources.ts";

type QuotaParts = Pick<QuotasOptions, "countings" | "domainOf">;

/** @param register registers the RPCs of this API on a router, with the checks of callers. */
export async function openPlanning(
  real: Api,
  quotaParts: QuotaParts,
  forNew: Parameters<LockTable["of"]>[1],
  register: (api: Api, router: ConnectRouter) => void,
): Promise<Planning> {
  const { clock, random, agents } = real;
  await using parts = new AsyncDisposableStack();
  const layer = await overlayDatastore(real.datastore);
  const id = transactionId(clock.nowMs(), random.uuid());
  const stop = new AbortController();
  parts.defer(() => stop.abort());
  const sessions = await DatastoreSessions.start({ datastore: layer, clock, id, isAlone: false });
  const inventory = parts.use(await Inventory.open(layer, clock));
  inventory.hearAs(real.inventory);
  const addressBook = parts.use(await AddressBook.open(layer, random));
  const quotas = parts.use(await Quotas.open({ datastore: layer, clock, random, ...quotaParts }));
  const journal = journalOf({ ...layer, batch: (writes) => quotas.batch(writes) });
  const observed = parts.use(new PlannedStates(real));
  const locks = new LockTable().of(id, forNew);
  const rehearse = (input: Json) => {
    const node = nodeOf({ input });
    if (node !== undefined) agents.get(node);
  };
  const engine = new TransactionEngine<SagaContext, Writes>({
    ...{ sessions, locks, journal, clock, random, rehearse },
    registry: stepRegistryOf(resources, new RehearsalRegistry(rehearse)),
    faults: noFaults,
    shutdown: stop.signal,
    giveUpAfterMs: 0,
    openMax: Number.POSITIVE_INFINITY,
    onChange: () => {},
  });
  const api: Api = {
    ...real,
    ...{ datastore: layer, inventory, addressBook, quotas, locks, engine, observed },
    records: new Records(layer),
    log: silentLog,
    shutdown: stop.signal,
  };
  const methods = new Methods((router) => register(api, router));
  const whole = parts.move();
  return { api, methods, layer, [Symbol.asyncDispose]: () => whole.disposeAsync() };
}

/** Writes what the steps write, and not their rows: nobody recovers a plan, and the plan has them in memory. */
function journalOf(datastore: Datastore): Journal<Writes> {
  const journal = datastoreJournal(datastore);
  return {
    ...journal,
    stepStarted: async (_id, _row, { writes } = {}) =>
      writes === undefined ? await datastore.revision() : await datastore.batch(writes),
    stepUndone: async () => await datastore.revision(),
    retriableDone: async () => await datastore.revision(),
    commit: async (header, writes) => await journal.commit(header, writes, []),
    update: async (header, { writes = {} } = {}) => await journal.update(header, { writes }),
  };
}
