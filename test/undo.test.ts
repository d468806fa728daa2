import { expect, test } from "vitest";
import { transactionCollection } from "../src/datastore/datastore-journal.ts";
import { TaskService } from "../src/gen/n0stack/transaction/v1alpha1/task_pb.ts";
import { PROJECT_HEADER } from "../src/util/project.ts";
import { refused } from "./refused.ts";
import { comparable, type RpcCase, stillClock } from "./saga-cases.ts";
import { newest, REFUSED, UNDO_CASES, undo } from "./undo-cases.ts";
import { newWorld, type World } from "./world.ts";

/** Nobody can read user data back, so a virtual machine with some does not come back as it was. */
const MADE_WITH_USER_DATA = "CreateVirtualMachine with user data";

/** Its guest is told what it was told before, under another instance id, and without the user data of then. */
const GUEST_IS_TOLD = "UpdateVirtualMachine what its guest is told";

test("what no undo takes back is named, and exists", () => {
  const names = UNDO_CASES.map(({ name }) => name);
  expect(Object.keys(REFUSED).filter((name) => !names.includes(name))).toEqual([]);
});

test.for(UNDO_CASES)(
  "$name: its undo leaves all as before, and so does the undo of that",
  async (one) => {
    await using made = await worldOf(one);
    const { world, before } = made;
    const known = await newest(world);
    await one.call(world);
    const after = await made.look();
    const done = await newest(world);
    if (done === known) return expect(REFUSED[one.name]).toBe("");
    const refusal = REFUSED[one.name];
    if (refusal !== undefined) {
      const { code, message } = await refused(undo(world, done!, true));
      expect({ code, message }).toEqual({
        code: "FailedPrecondition",
        message: expect.stringContaining(refusal),
      });
      return expect(await made.look()).toEqual(after);
    }
    const isLost = await losesData(world, done!);
    await undo(world, done!, isLost);
    if (one.name === GUEST_IS_TOLD) return await expectTold(world, isLost);
    expect(await made.look()).toEqual(before);
    const back = (await newest(world))!;
    if (isLost || one.name === MADE_WITH_USER_DATA) {
      return expect(await refused(undo(world, back))).toMatchObject({ code: "FailedPrecondition" });
    }
    await undo(world, back);
    expect(await made.look()).toEqual(after);
  },
);

async function worldOf({ nodeCount = 1, prepare }: RpcCase) {
  const world = await newWorld({ nodeCount, clock: stillClock, inMemory: true });
  await prepare(world);
  const look = async () => {
    await world.opened.api.engine.settled();
    return looked(await world.residue());
  };
  return {
    ...{ world, look, before: await look() },
    [Symbol.asyncDispose]: () => world[Symbol.asyncDispose](),
  };
}

async function expectTold({ virtualMachines }: World, isLost: boolean): Promise<void> {
  expect(isLost).toBe(true);
  expect(await virtualMachines.getVirtualMachine({ name: "web" })).toMatchObject({
    ...{ hostname: "", userNames: [], loginUsername: "n0" },
    ...{ userDataBytes: 0, userDataChanges: 2 },
  });
}

/** Whether the undo is refused without the word that data may go. */
async function losesData(world: World, id: string): Promise<boolean> {
  const { value } = (await world.opened.api.records.find(transactionCollection, id))!;
  const headers = { [PROJECT_HEADER]: value.project ?? "" };
  const planned = world.client(TaskService).planTasks({ undoOf: id }, { headers });
  return await planned.then(
    () => false,
    async () => {
      expect(await refused(planned)).toMatchObject({ field: "discard_data" });
      return true;
    },
  );
}

/** `visibility: VISIBILITY_PRIVATE` in a record: the same as that nobody has ever said. */
const PRIVATE = "\xf0\x06\x01";

/** A nic that comes back to a running guest gets another slot, and members of JSON have no order. */
function looked(residue: Awaited<ReturnType<World["residue"]>>): unknown {
  const records = Object.entries(residue.records).map(([key, text]) => {
    if (!text.startsWith("{")) return [key, text.replace(PRIVATE, "")];
    const { pciSlot: _, ...rest } = JSON.parse(text) as { pciSlot?: number };
    return [key, rest];
  });
  const all = { ...residue, records: Object.fromEntries(records) };
  const text = JSON.stringify(comparable(all));
  return JSON.parse(text.replaceAll(/"pciSlot":\d+/g, '"pciSlot":0'));
}
