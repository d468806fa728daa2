import { expect, test } from "vitest";
import { newGate } from "../../test/gate.ts";
import { Guards } from "./guards.ts";
import type { TransactionHeader } from "./journal.ts";

function opened() {
  const header: TransactionHeader = {
    ...{ id: "1", kind: "RunTasks", guards: ["a"], startedAtMs: 0 },
    ...{ state: "running", isCommitted: false },
  };
  const guards = new Guards({ header });
  /** The keys of each write, in order; none for a write without a header. */
  const written: (readonly string[])[] = [];
  const write = async (header: TransactionHeader | undefined, before?: Promise<void>) => {
    await before;
    written.push(header?.guards ?? []);
  };
  return { guards, written, write };
}

test("a header that is slow to be written never comes after a newer one, and those that wait share the next", async () => {
  const { guards, written, write } = opened();
  const gate = newGate();
  const slow = guards.with(["b"], async (header) => await write(header, gate.pass()));
  await gate.reached;
  const others = ["c", "d"].map(async (key) => await guards.with([key], write));
  await guards.with([], write);
  expect(written).toEqual([[]]);
  gate.open();
  await Promise.all([slow, ...others]);
  expect(written).toEqual([[], ["a", "b"], ["a", "b", "c", "d"], []]);
  await guards.with(["e"], write);
  expect(written.at(-1)).toEqual(["a", "b", "c", "d", "e"]);
});

test("what waits for a write that is refused writes the header itself", async () => {
  const { guards, written, write } = opened();
  const gate = newGate();
  const refused = guards.with(["b"], async () => {
    await gate.pass();
    throw new Error("refused");
  });
  const other = guards.with(["c"], write);
  gate.open();
  await expect(refused).rejects.toThrow("refused");
  await other;
  expect(written).toEqual([["a", "b", "c"]]);
});
