import { create, type DescMessage, isFieldSet, ScalarType } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { transactionCollection } from "../src/datastore/datastore-journal.ts";
import { type FaultPoint, SimulatedCrash } from "../src/transaction/faults.ts";
import { until } from "../src/util/until.ts";
import { CASES_IN_ORDER } from "./cases.ts";
import { refused } from "./refused.ts";
import { comparable, type RpcCase, stillClock } from "./saga-cases.ts";
import { newWorld, through, type World, withHeaders } from "./world.ts";

const HEADERS = { "idempotency-key": "4f1c2d0e-once" };

/** A copy of a base is made on behalf of a GenerateBlockStorage, which has cases of its own. */
const cases = CASES_IN_ORDER.filter(({ rpc }) => rpc !== "CopyBase");

async function prepared({ nodeCount = 1, prepare }: RpcCase): Promise<World> {
  const world = await newWorld({ nodeCount, clock: stillClock, inMemory: true });
  await prepare(world);
  return world;
}

const named = cases.map((rpcCase) => [[rpcCase.rpc, rpcCase.about].join(" "), rpcCase] as const);

describe.each(named)("%s", (_, rpcCase) => {
  const { rpc, call } = rpcCase;
  const send = (world: World) => call(withHeaders(world, HEADERS));
  const outcome = async (world: World) => comparable(await world.residue());

  /** What was committed under the RPC's name since `before`. */
  async function committed({ opened }: World): Promise<number> {
    const headers = await opened.api.records.list(transactionCollection);
    return headers.filter(({ value }) => value.kind === rpc && value.isCommitted).length;
  }

  async function cleanOutcome(): Promise<unknown> {
    await using world = await prepared(rpcCase);
    await send(world);
    await world.opened.api.engine.settled();
    return await outcome(world);
  }

  test("is done once, however often it is sent, and answers the same", async () => {
    await using world = await prepared(rpcCase);
    const before = await committed(world);
    const answer = await send(world);
    await world.opened.api.engine.settled();
    const residue = await world.residue();
    for (let i = 0; i < 3; i++) expect(await send(world)).toEqual(answer);
    expect(await world.residue()).toEqual(residue);
    expect(await committed(world)).toBe(before + 1);
    await world.restart();
    expect(await send(world)).toEqual(answer);
    expect(await world.residue()).toEqual(residue);
  });

  test("is waited for by those that come while it runs", async () => {
    await using world = await prepared(rpcCase);
    const before = await committed(world);
    const gate = Promise.withResolvers<void>();
    let held = 0;
    world.faults = async ({ point, kind }) => {
      if (point !== "before_commit" || kind !== rpc) return;
      held += 1;
      await gate.promise;
    };
    const answers = [send(world), send(world)];
    await until(() => held > 0);
    answers.push(send(world));
    gate.resolve();
    const [first, ...others] = await Promise.all(answers);
    expect(others).toEqual([first, first]);
    expect(held).toBe(1);
    expect(await committed(world)).toBe(before + 1);
  });

  test("is another request when it says something else", async () => {
    await using world = await prepared(rpcCase);
    await send(world);
    await world.opened.api.engine.settled();
    const residue = await world.residue();
    const refusal = await refused(call(saysOther(withHeaders(world, HEADERS))));
    expect(refusal).toMatchObject({ code: "InvalidArgument", field: "idempotency-key" });
    expect(await world.residue()).toEqual(residue);
  });

  const deaths: readonly FaultPoint[] = ["after_begin", "before_commit", "after_commit"];
  test.each(deaths)("is done once when the API dies %s and it is sent again", async (at) => {
    await using world = await prepared(rpcCase);
    const before = await committed(world);
    let deaths = 0;
    world.faults = ({ point, kind }) => {
      if (point !== at || kind !== rpc || deaths > 0) return;
      deaths += 1;
      throw new SimulatedCrash("died");
    };
    await expect(send(world)).rejects.toThrow();
    expect(deaths).toBe(1);
    await world.restart();
    const answer = await send(world);
    await world.opened.api.engine.settled();
    expect(await send(world)).toEqual(answer);
    expect(await committed(world)).toBe(before + 1);
    expect(await outcome(world)).toEqual(await cleanOutcome());
  });
});

/** Has the clients send another text in the first field that has one, or leave out their first field. */
function saysOther(world: World): World {
  return through(world, (unary) => (method, signal, timeoutMs, header, input, values) => {
    const request = create<DescMessage>(method.input, input);
    const set = method.input.fields.filter((field) => isFieldSet(request, field));
    const { STRING, UINT32 } = ScalarType;
    const text =
      set.find(({ scalar }) => scalar === STRING) ??
      set.find(({ scalar }) => scalar === UINT32) ??
      set[0];
    if (text === undefined) throw new Error(`${method.name} says nothing`);
    const said: unknown = Reflect.get(request, text.localName);
    const saysNow =
      typeof said === "string" ? `${said}2` : typeof said === "number" ? said + 1 : {};
    const other = { ...request, [text.localName]: saysNow };
    return unary(method, signal, timeoutMs, header, other as typeof input, values);
  });
}
