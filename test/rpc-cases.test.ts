import { ConnectError } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { stepRegistryOf } from "../src/api/core/resource/resource.ts";
import { resources } from "../src/api/resources.ts";
import { PasswordService } from "../src/gen/n0stack/iam/v1alpha1/password_pb.ts";
import { TaskService } from "../src/gen/n0stack/transaction/v1alpha1/task_pb.ts";
import { Phase } from "../src/gen/n0stack/transaction/v1alpha1/transaction_pb.ts";
import { VerifyService } from "../src/gen/n0stack/verify/v1alpha1/verify_pb.ts";
import { fromConnectError, TRANSACTION_HEADER } from "../src/rpc/errors.ts";
import { RPC_CASES } from "./cases.ts";
import { READS } from "./reading.ts";
import { newWorld, through, type World } from "./world.ts";

const OTHER_SERVICES = [PasswordService, TaskService, VerifyService];
const SERVICES = [...resources.map(({ service }) => service), ...OTHER_SERVICES];
/** The heartbeat, which changes no object of a user's; and a sign-in, which is one batch, and the same session again. */
const NO_SAGA = /^(?:Heartbeat|SignIn)/;

/** A guest that has heard it is off, whatever is undone, so it has tests of its own: power.test.ts. */
const NOT_UNDOABLE = "domain.press_power_button";

test("every RPC that changes something has its unwind cases", () => {
  const rpcs = SERVICES.flatMap(({ methods }) => methods.map(({ name }) => name));
  const changing = rpcs.filter((name) => !READS.test(name) && !NO_SAGA.test(name));
  expect(new Set(RPC_CASES.map(({ rpc }) => rpc))).toEqual(new Set([...changing, "CopyBase"]));
});

test("every step of the registry is run by one of them", async () => {
  const run = new Set([NOT_UNDOABLE]);
  for (const { nodeCount = 1, prepare, call } of RPC_CASES) {
    await using world = await newWorld({ nodeCount, inMemory: true, deliversLate: true });
    world.faults = ({ step }) => void run.add(step);
    await prepare(world);
    await call(world);
    await world.opened.api.engine.settled();
  }
  const { steps, retriables } = stepRegistryOf(resources).names();
  expect([...steps, ...retriables].filter((name) => !run.has(name))).toEqual([]);
});

/** The same world, whose answers tell `onHeader` their headers. */
function observed(world: World, onHeader: (header: Headers) => void): World {
  return through(world, (unary) => async (...call) => {
    const answer = await unary(...call);
    onHeader(answer.header);
    return answer;
  });
}

/** One runs within another's, the other names each of its transactions in its messages. */
const NAMES_NONE = ["CopyBase", "Repair"];

test.for(RPC_CASES.filter(({ rpc }) => !NAMES_NONE.includes(rpc)))(
  "$rpc names its transaction in its answer, and in its error",
  async ({ rpc, nodeCount = 1, prepare, call }) => {
    await using world = await newWorld({ nodeCount, inMemory: true, deliversLate: true });
    await prepare(world);
    world.faults = ({ kind, point }) => {
      if (kind === rpc && point === "before_commit") throw new Error("injected");
    };
    const reason = await call(world).catch((thrown: unknown) => thrown);
    const failed = ConnectError.from(reason).metadata.get(TRANSACTION_HEADER);
    const find = (id: string | null) => world.transactions.getTransaction({ id: id ?? "" });
    expect(fromConnectError(reason).facts.transactionId).toBe(failed);
    expect((await find(failed)).transaction).toMatchObject({ rpc, phase: Phase.UNDONE });

    world.faults = () => {};
    const headers: Headers[] = [];
    await call(observed(world, (header) => headers.push(header)));
    const done = headers.at(-1)?.get(TRANSACTION_HEADER) ?? null;
    expect((await find(done)).transaction).toMatchObject({ rpc, phase: Phase.DONE });
  },
);
