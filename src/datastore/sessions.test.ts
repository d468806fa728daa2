import { expect, test } from "vitest";
import { newFakeClock } from "../../test/fake-clock.ts";
import { memoryDatastore } from "./memory/memory-datastore.ts";
import { BEAT_MS, DatastoreSessions, EXPIRY_MS, sessionCollection } from "./sessions.ts";

function newCloud() {
  const datastore = memoryDatastore();
  const clock = newFakeClock();
  const start = (id: string, isAlone = false) =>
    DatastoreSessions.start({ datastore, clock, id, isAlone });
  const ids = async () => (await datastore.list(sessionCollection.prefix)).map(({ key }) => key);
  return { datastore, clock, start, ids };
}

test("a session that beats has not ended, and one that nobody knows has", async () => {
  const { start, clock } = newCloud();
  const [one, two] = [await start("one"), await start("two")];
  for (let ms = 0; ms < 3 * EXPIRY_MS; ms += BEAT_MS) {
    expect(await one.beat()).toBe(true);
    const seen = await two.look();
    expect(seen.ended).toEqual([]);
    expect(["one", "two", "three", undefined].map(seen.hasEnded)).toEqual([
      ...[false, false, true, true],
    ]);
    await clock.advance(BEAT_MS);
  }
});

test("a session that is silent for too long has ended, and its next beat is refused", async () => {
  const { start, clock } = newCloud();
  const [one, two] = [await start("one"), await start("two")];
  expect((await two.look()).ended).toEqual([]);
  await clock.advance(EXPIRY_MS - 1);
  expect((await two.look()).ended).toEqual([]);
  await clock.advance(1);
  const seen = await two.look();
  expect(seen.ended).toEqual(["one"]);
  expect(seen.hasEnded("one")).toBe(true);
  expect(await one.beat()).toBe(false);
});

test("one that looks for the first time waits the whole time, whatever the wall clock says", async () => {
  const { start, clock } = newCloud();
  await start("one");
  await clock.advance(10 * EXPIRY_MS);
  const two = await start("two");
  expect((await two.look()).ended).toEqual([]);
  await clock.advance(EXPIRY_MS);
  expect((await two.look()).ended).toEqual(["one"]);
});

test("an orderly stop that leaves open transactions ends a session at once, and it stays known until it is forgotten", async () => {
  const { start, ids } = newCloud();
  const [one, two] = [await start("one"), await start("two")];
  await one.end({ leaves: true });
  expect((await two.look()).ended).toEqual(["one"]);
  expect((await two.look()).ended).toEqual(["one"]);
  await two.forget(["one"]);
  expect((await two.look()).ended).toEqual([]);
  expect(await ids()).toEqual(["session/two"]);
});

test("of a session that stops with no transaction open nothing is left", async () => {
  const { start, ids } = newCloud();
  const [one, two] = [await start("one"), await start("two")];
  await one.end({ leaves: false });
  const seen = await two.look();
  expect(seen.ended).toEqual([]);
  expect(seen.hasEnded("one")).toBe(true);
  expect(await ids()).toEqual(["session/two"]);
});

test("where a process has the datastore alone, every other session has ended", async () => {
  const { start } = newCloud();
  await start("one");
  const two = await start("two", true);
  const seen = await two.look();
  expect(seen.ended).toEqual(["one"]);
  expect(seen.hasEnded("two")).toBe(false);
});

test("a beat that comes as another looks wins, or is refused: never both", async () => {
  for (let turns = 0; turns < 4; turns++) {
    const { start, clock } = newCloud();
    const [one, two] = [await start("one"), await start("two")];
    await two.look();
    await clock.advance(EXPIRY_MS);
    const looking = two.look();
    for (let turn = 0; turn < turns; turn++) await Promise.resolve();
    const [seen, beat] = await Promise.all([looking, one.beat()]);
    expect(seen.hasEnded("one")).toBe(!beat);
  }
});
