import { stepRegistryOf } from "../src/api/core/resource/resource.ts";
import { resources } from "../src/api/resources.ts";
import { stepCollection, transactionCollection } from "../src/datastore/datastore-journal.ts";
import { HeldObjects } from "../src/datastore/held-objects.ts";
import type { StepRow } from "../src/transaction/journal.ts";
import { systemClock } from "../src/util/clock.ts";
import { unwindCases } from "./unwind-cases.ts";
import { newWorld, type Residue, type World } from "./world.ts";

/** One RPC, in a world in which it can succeed. */
export interface RpcCase {
  /** The RPC, which is the kind of its transaction. */
  readonly rpc: string;
  /** What makes this case different, if an RPC has several. */
  readonly about?: string;
  readonly nodeCount?: number;
  /** It is about several projects, which the journals of versions without scopes cannot hold. */
  readonly isOfProjects?: true;
  prepare(world: World): Promise<void>;
  call(world: World): Promise<unknown>;
  /** Only records under these prefixes count as its remains, if it is part of a larger whole. */
  readonly leaves?: readonly string[];
  /** A part of things on nodes. An API that starts puts it right by itself, so a death does not leave it as it was. */
  readonly toldAtStart?: string;
  /** The parts of a step's input that the journal does not have. */
  readonly secret?: unknown;
}

/** Its wall clock stands still, so that two runs write the same times. */
export const stillClock = { ...systemClock, nowMs: () => 1_700_000_000_000 };

/** Registers the unwind cases of each of these RPCs. */
export async function rpcUnwindCases(cases: readonly RpcCase[]): Promise<void> {
  for (const { rpc, about, nodeCount = 1, prepare, call, leaves, toldAtStart, secret } of cases) {
    await unwindCases<World>({
      name: about === undefined ? rpc : `${rpc}, ${about}`,
      kind: rpc,
      newWorld: async () => {
        const world = await newWorld({ nodeCount, clock: stillClock, inMemory: true });
        await prepare(world);
        return world;
      },
      async run(world, faults) {
        world.faults = faults;
        try {
          return await call(world);
        } finally {
          await world.opened.api.engine.settled();
        }
      },
      residue: async (world) => without(toldAtStart, await world.residue()),
      outcome: async (world) => comparable(only(await world.residue(), leaves)),
      restart: (world, faults) => world.restart(faults),
      stepsOf: (world) => lastSteps(world, rpc),
      actAgain: (world, row) => actAgain(world, rpc, row, secret),
    });
  }
}

async function lastSteps(world: World, rpc: string): Promise<readonly StepRow[]> {
  return (await lastTransaction(world, rpc)).steps.map(({ value }) => value);
}

async function lastTransaction(world: World, rpc: string) {
  const { records } = world.opened.api;
  // The clock stands still, so the ids do not show which came last. The last one written is the last.
  const [last] = (await records.list(transactionCollection))
    .filter(({ value }) => value.kind === rpc)
    .sort((a, b) => b.revision - a.revision);
  const steps = last === undefined ? [] : await records.list(stepCollection, [last.value.id]);
  return { header: last?.value, steps };
}

/** Like a request that is delivered twice. */
async function actAgain(
  world: World,
  rpc: string,
  { seq, name, input }: StepRow,
  secret: unknown,
): Promise<void> {
  const { header, steps } = await lastTransaction(world, rpc);
  const { api } = world.opened;
  const context = { api, held: new HeldObjects(header?.guards ?? [], 1, async () => {}) };
  const scope = {
    transactionId: header?.id ?? "",
    // A step acts with the revision of its row.
    generation: steps.find(({ value }) => value.seq === seq)?.revision ?? 0,
    signal: AbortSignal.timeout(30_000),
  };
  const step = stepRegistryOf(resources).step(name);
  if ("act" in step) await step.act(context, input, scope, secret);
  // Its row is in the same batch, so its conditions hold once.
  else
    await step.writeRecords(context, input, scope, ({ conditions: _, ...writes }) =>
      api.datastore.batch(writes),
    );
}

function only(residue: Residue, prefixes: readonly string[] | undefined): unknown {
  if (prefixes === undefined) return residue;
  const records = Object.entries(residue.records);
  return records.filter(([key]) => prefixes.some((prefix) => key.startsWith(prefix)));
}

/** The same without the parts of this name. */
function without(part: string | undefined, residue: unknown): unknown {
  if (part === undefined || typeof residue !== "object" || residue === null) return residue;
  if (Array.isArray(residue)) return residue.map((one) => without(part, one));
  const kept = Object.entries(residue).filter(([key]) => key !== part);
  return Object.fromEntries(kept.map(([key, value]) => [key, without(part, value)]));
}

/** Two runs differ in their random parts: transaction ids, the ends of volume ids, and hashes of passwords. */
export function comparable(residue: unknown): unknown {
  const text = JSON.stringify(residue, (_, value: unknown) =>
    typeof value === "bigint" ? `${value}n` : value,
  );
  return JSON.parse(
    text
      .replaceAll(/[0-9a-f]{12}-[0-9a-f]{8}-[0-9a-f]{4}/g, "<transaction>")
      .replaceAll(/(?<=[a-z])\.[0-9a-f]{12}\b/g, ".<random>")
      .replaceAll(/\$argon2id\$[\w$+/=,]+/g, "<hash>"),
  );
}
