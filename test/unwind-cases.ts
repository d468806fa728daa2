import { describe, expect, test } from "vitest";
import {
  type FaultPlace,
  type FaultPoint,
  type Faults,
  noFaults,
  SimulatedCrash,
} from "../src/transaction/faults.ts";
import type { StepRow } from "../src/transaction/journal.ts";

/**
 * A saga and its world, for the unwind cases. A world should also hold things of others (same kind, other
 * name), so that the residue shows an undo that removes too much.
 */
export interface SagaCase<W extends AsyncDisposable> {
  readonly name: string;
  /** The kind of the transaction, if a run makes several. Default: that of the first one. */
  readonly kind?: string;
  /** A cheap world of its own, with everything that the saga needs. */
  newWorld(): Promise<W>;
  /** Runs the saga once, with faults for its transaction. Rejects if the saga fails. */
  run(world: W, faults: Faults): Promise<unknown>;
  /** Everything that the saga could leave behind, with open transactions and locks. */
  residue(world: W): Promise<unknown>;
  /** The result of a successful run, in a form that is equal in all worlds. Default: the residue. */
  outcome?(world: W): Promise<unknown>;
  /**
   * Drops the process's state like a crash, opens it again on the same records and nodes, recovers with these
   * faults, and waits until everything is settled.
   */
  restart(world: W, faults: Faults): Promise<void>;
  /** The step rows of the last transaction of the kind. */
  stepsOf(world: W): Promise<readonly StepRow[]>;
  /** Runs the act of this row's step again. Without it, no act is repeated. */
  actAgain?(world: W, row: StepRow): Promise<void>;
}

export interface Scenario {
  readonly name: string;
  readonly run: () => Promise<void>;
}

/**
 * Registers a test for each way in which a run of the saga can be interrupted: each step fails, and the process
 * dies at each moment, also in the unwind and in the recovery. Use: `await unwindCases({ … })`.
 */
export async function unwindCases<W extends AsyncDisposable>(saga: SagaCase<W>): Promise<void> {
  const scenarios = await unwindScenarios(saga);
  describe(`${saga.name}: whole or not at all`, () => {
    for (const { name, run } of scenarios) test(name, run);
  });
}

/** The same scenarios, for a caller that runs them itself: `unwindCases` registers them. */
export async function unwindScenarios<W extends AsyncDisposable>(
  saga: SagaCase<W>,
): Promise<readonly Scenario[]> {
  const plan = await learn(saga);
  const cases = new Cases(saga, plan);
  return [...cases.back(), ...cases.unwinding(), ...cases.forward(), ...cases.twice()];
}

interface StepName {
  readonly seq: number;
  readonly name: string;
}

interface PlannedStep extends StepName {
  /** Whether its row is written before it acts. Otherwise its row is in the batch of its writes. */
  readonly isJournaledFirst: boolean;
}

interface Plan {
  readonly kind: string;
  readonly steps: readonly PlannedStep[];
  readonly retriables: readonly StepName[];
  readonly outcome: unknown;
}

interface Spot {
  readonly point: FaultPoint;
  /** Default: any step. */
  readonly at?: StepName;
}

class InjectedFailure extends Error {
  override name = "InjectedFailure";
}

/** What happened, according to the fault points that were passed. */
class Watch {
  readonly places: FaultPlace[] = [];
  /** The places where faults were caused. */
  readonly fired: FaultPlace[] = [];
  readonly #kind: string | undefined;
  readonly #plans: (Spot & { readonly make: (text: string) => Error })[];

  constructor(kind?: string, { fails, dies }: { fails?: Spot; dies?: Spot } = {}) {
    this.#kind = kind;
    this.#plans = [
      ...(fails === undefined
        ? []
        : [{ ...fails, make: (text: string) => new InjectedFailure(text) }]),
      ...(dies === undefined
        ? []
        : [{ ...dies, make: (text: string) => new SimulatedCrash(text) }]),
    ];
  }

  readonly faults: Faults = (place) => {
    if (this.#kind !== undefined && place.kind !== this.#kind) return;
    this.places.push(place);
    const i = this.#plans.findIndex(
      ({ point, at }) => point === place.point && (at === undefined || at.seq === place.seq),
    );
    if (i < 0) return;
    this.fired.push(place);
    const [plan] = this.#plans.splice(i, 1);
    throw plan!.make(`injected ${place.point} ${place.seq} ${place.step}`);
  };

  seqs(point: FaultPoint): number[] {
    return this.places.filter((place) => place.point === point).map(({ seq }) => seq);
  }
}

async function learn<W extends AsyncDisposable>(saga: SagaCase<W>): Promise<Plan> {
  await using world = await saga.newWorld();
  const watch = new Watch();
  const journaledFirst = new Set<number>();
  await saga.run(world, async (place) => {
    await watch.faults(place);
    if (place.kind !== kindOf(saga, watch) || place.point !== "before_act") return;
    const rows = await saga.stepsOf(world);
    if (rows.some(({ seq }) => seq === place.seq)) journaledFirst.add(place.seq);
  });
  const kind = kindOf(saga, watch);
  if (kind === undefined) throw new Error(`${saga.name} began no transaction`);
  const named = (point: FaultPoint) =>
    watch.places
      .filter((place) => place.kind === kind && place.point === point)
      .map(({ seq, step }) => ({ seq, name: step }));
  const steps = named("before_act");
  const retriables = named("before_retriable");
  const rows = (await saga.stepsOf(world)).map(({ seq, name }) => ({ seq, name }));
  expect(rows, "a clean run journals each step once").toEqual([...steps, ...retriables]);
  const planned = steps.map((step) => ({
    ...step,
    isJournaledFirst: journaledFirst.has(step.seq),
  }));
  return { kind, steps: planned, retriables, outcome: await outcomeOf(saga, world) };
}

function kindOf<W extends AsyncDisposable>(saga: SagaCase<W>, watch: Watch): string | undefined {
  return saga.kind ?? watch.places[0]?.kind;
}

async function outcomeOf<W extends AsyncDisposable>(saga: SagaCase<W>, world: W) {
  return await (saga.outcome?.(world) ?? saga.residue(world));
}

class Cases<W extends AsyncDisposable> {
  readonly #saga: SagaCase<W>;
  readonly #plan: Plan;

  constructor(saga: SagaCase<W>, plan: Plan) {
    this.#saga = saga;
    this.#plan = plan;
  }

  /** Failures and deaths before the pivot. */
  *back(): Iterable<Scenario> {
    const { steps } = this.#plan;
    yield* this.#failAndDie({ point: "before_begin" }, []);
    yield* this.#failAndDie({ point: "after_begin" }, []);
    for (const [i, at] of steps.entries()) {
      yield* this.#failAndDie({ point: "before_journal", at }, steps.slice(0, i));
      const before = { point: "before_act", at } as const;
      yield this.#failing(before, steps.slice(0, i + 1));
      yield this.#dying(before, steps.slice(0, at.isJournaledFirst ? i + 1 : i));
      yield* this.#failAndDie({ point: "after_act", at }, steps.slice(0, i + 1));
    }
    yield* this.#failAndDie({ point: "before_commit" }, steps);
  }

  *#failAndDie(spot: Spot, started: readonly StepName[]): Iterable<Scenario> {
    yield this.#failing(spot, started);
    yield this.#dying(spot, started);
  }

  /**
   * Deaths during the unwind, and during the unwind after a death. From the last moment before the pivot:
   * earlier ones would meet the same undos.
   */
  *unwinding(): Iterable<Scenario> {
    const { steps } = this.#plan;
    const fails: Spot = { point: "before_commit" };
    yield this.#dyingTwice({ fails, dies: { point: "before_unwind" } }, steps);
    for (const [i, at] of steps.entries()) {
      const left = steps.slice(0, i + 1);
      yield this.#dyingTwice({ fails, dies: { point: "before_undo", at } }, left);
      yield this.#dyingTwice({ fails, dies: { point: "after_undo", at } }, left);
      yield this.#dyingTwice({ dies: { point: "before_commit" } }, left, {
        point: "after_undo",
        at,
      });
    }
    yield this.#dyingTwice({ fails, dies: { point: "before_rest" } }, []);
  }

  /** Failures and deaths after the pivot. */
  *forward(): Iterable<Scenario> {
    const { retriables } = this.#plan;
    yield this.#goingOn("dies", { point: "after_commit" }, retriables);
    yield this.#goingOn("fails", { point: "after_commit" }, retriables);
    for (const [i, at] of retriables.entries()) {
      for (const point of ["before_retriable", "after_retriable"] as const) {
        yield this.#goingOn("dies", { point, at }, retriables.slice(i));
        yield this.#goingOn("fails", { point, at }, retriables);
      }
    }
    if (retriables.length > 0) yield this.#goingOn("dies", { point: "before_rest" }, []);
  }

  /** Every act, done twice. */
  *twice(): Iterable<Scenario> {
    const { actAgain } = this.#saga;
    if (actAgain === undefined) return;
    for (const at of this.#plan.steps) {
      yield this.#scenario(`${textOf({ point: "after_act", at })} it acts again`, async (world) => {
        const watch = new Watch(this.#plan.kind);
        await this.#saga.run(world, async (place) => {
          await watch.faults(place);
          if (place.kind !== this.#plan.kind || place.point !== "after_act") return;
          if (place.seq !== at.seq) return;
          const rows = await this.#saga.stepsOf(world);
          await actAgain.call(this.#saga, world, rows.find(({ seq }) => seq === at.seq)!);
        });
        expect(watch.seqs("before_undo")).toEqual([]);
        expect(await outcomeOf(this.#saga, world)).toEqual(this.#plan.outcome);
      });
    }
  }

  #failing(spot: Spot, started: readonly StepName[]): Scenario {
    return this.#scenario(`fails ${textOf(spot)}`, async (world) => {
      const before = await this.#saga.residue(world);
      const watch = new Watch(this.#plan.kind, { fails: spot });
      await this.#cut(world, watch, [spot]);
      await this.#expectUnwound(world, before, watch, spot, started);
    });
  }

  #dying(spot: Spot, started: readonly StepName[]): Scenario {
    return this.#scenario(`the process dies ${textOf(spot)}`, async (world) => {
      const before = await this.#saga.residue(world);
      await this.#cut(world, new Watch(this.#plan.kind, { dies: spot }), [spot]);
      const watch = new Watch(this.#plan.kind);
      await this.#saga.restart(world, watch.faults);
      await this.#expectUnwound(world, before, watch, spot, started);
    });
  }

  #dyingTwice(
    faults: { readonly fails?: Spot; readonly dies: Spot },
    left: readonly StepName[],
    again?: Spot,
  ): Scenario {
    const name =
      again === undefined
        ? `the process dies in the unwind, ${textOf(faults.dies)}`
        : `the process dies, and again in the recovery, ${textOf(again)}`;
    return this.#scenario(name, async (world) => {
      const { kind } = this.#plan;
      const before = await this.#saga.residue(world);
      const spots = [...(faults.fails === undefined ? [] : [faults.fails]), faults.dies];
      await this.#cut(world, new Watch(kind, faults), spots);
      if (again !== undefined) {
        const second = new Watch(kind, { dies: again });
        await this.#saga.restart(world, second.faults);
        expectFired(second, [again]);
      }
      const watch = new Watch(kind);
      await this.#saga.restart(world, watch.faults);
      await this.#expectUnwound(world, before, watch, faults.dies, left);
    });
  }

  #goingOn(how: "fails" | "dies", spot: Spot, left: readonly StepName[]): Scenario {
    const name = `${how === "dies" ? "the process dies" : "fails"} ${textOf(spot)} and goes forward`;
    return this.#scenario(name, async (world) => {
      const { kind, outcome, retriables } = this.#plan;
      let watch = new Watch(kind, { [how]: spot });
      if (how === "dies") {
        await this.#cut(world, watch, [spot]);
        expect(watch.seqs("before_undo")).toEqual([]);
        watch = new Watch(kind);
        await this.#saga.restart(world, watch.faults);
      } else {
        // What fails after the commit is repeated. Only the end of the saga itself can be reported to the
        // client.
        await this.#saga.run(world, watch.faults).catch(() => undefined);
        expectFired(watch, [spot]);
      }
      expect(watch.seqs("before_undo"), "nothing is undone after the pivot").toEqual([]);
      const acted = [...new Set(watch.seqs("before_retriable"))];
      expect(acted, "what is left is done in order").toEqual(left.map(({ seq }) => seq));
      expect(await outcomeOf(this.#saga, world), "it ends as a clean run").toEqual(outcome);
      const rows = await this.#saga.stepsOf(world);
      const ended = rows.filter(({ phase }) => phase === "done").map(({ seq }) => seq);
      expect(ended).toEqual(retriables.map(({ seq }) => seq));
    });
  }

  async #cut(world: W, watch: Watch, spots: readonly Spot[]): Promise<void> {
    await expect(this.#saga.run(world, watch.faults), "the run is cut").rejects.toThrow();
    expectFired(watch, spots);
  }

  async #expectUnwound(
    world: W,
    before: unknown,
    watch: Watch,
    spot: Spot,
    undone: readonly StepName[],
  ): Promise<void> {
    const order = undone.map(({ seq }) => seq).reverse();
    expect(
      watch.seqs("before_undo"),
      "each started step is undone once, the last one first",
    ).toEqual(order);
    if (spot.point !== "before_begin") {
      const phases = (await this.#saga.stepsOf(world)).map(({ phase }) => phase);
      expect(new Set(phases)).toEqual(new Set(phases.length > 0 ? ["undone"] : []));
    }
    expect(await this.#saga.residue(world), "nothing is left, and nothing else is gone").toEqual(
      before,
    );
    await this.#saga.run(world, noFaults);
    expect(await outcomeOf(this.#saga, world), "a second try succeeds").toEqual(this.#plan.outcome);
  }

  #scenario(name: string, body: (world: W) => Promise<void>): Scenario {
    return {
      name,
      run: async () => {
        await using world = await this.#saga.newWorld();
        await body(world);
      },
    };
  }
}

/** The faults happened at that place, once each, and nowhere before. */
function expectFired(watch: Watch, spots: readonly Spot[]): void {
  const places = watch.fired.map(({ point, step }) => ({ point, step }));
  expect(places).toEqual(spots.map(({ point, at }) => ({ point, step: at?.name ?? "" })));
}

function textOf({ point, at }: Spot): string {
  const where = point.replace("_", " ");
  return at === undefined ? where : `${where} of ${at.seq} ${at.name}`;
}
