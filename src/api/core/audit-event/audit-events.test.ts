import { beforeEach, describe, expect, test } from "vitest";
import { type FakeClock, newFakeClock } from "../../../../test/fake-clock.ts";
import { memoryDatastore } from "../../../datastore/memory/memory-datastore.ts";
import { Records } from "../../../datastore/records.ts";
import { silentLog } from "../../../util/log.ts";
import { systemRandom } from "../../../util/random.ts";
import { AuditEvents } from "./audit-events.ts";
import { pruneAuditEvents, shareOf } from "./prune.ts";
import { type AuditEvent, auditEvents, type NewAuditEvent } from "./record.ts";

const MINUTE_MS = 60_000;

let clock: FakeClock;
let datastore: ReturnType<typeof memoryDatastore>;
let events: AuditEvents;
let stop: AbortController;
let batches: number;

beforeEach(() => {
  clock = newFakeClock();
  datastore = memoryDatastore();
  stop = new AbortController();
  batches = 0;
  const { batch } = datastore;
  datastore.batch = async (writes) => {
    batches += 1;
    return await batch.call(datastore, writes);
  };
  events = newEvents();
});

function newEvents(): AuditEvents {
  const { signal: shutdown } = stop;
  return new AuditEvents({ datastore, clock, random: systemRandom, log: silentLog, shutdown });
}

async function written(): Promise<readonly AuditEvent[]> {
  return (await new Records(datastore).list(auditEvents)).map(({ value }) => value);
}

function refusal(principal: string, permission: string, peer = "192.0.2.1"): NewAuditEvent {
  const asker = { principal, peer };
  return { kind: "refusal", asker, place: "system", permission, reason: "no permission" };
}

function wrongToken(peer: string): NewAuditEvent {
  const asker = { principal: "nobody", peer };
  return { kind: "refusal", asker, place: "system", reason: "wrong token" };
}

function sum(all: readonly AuditEvent[]): number {
  return all.reduce((total, { count }) => total + count, 0);
}

describe("events are written once a minute", () => {
  test("and what happens again within it is counted, also from another address of the network", async () => {
    for (const peer of ["2001:db8::1", "2001:db8::2", "2001:db8::3"]) {
      events.note(refusal("user/ann", "node.list", peer));
      await clock.advance(10_000);
    }
    events.note(refusal("user/bob", "node.list"));
    expect(await written()).toEqual([]);
    expect(events.pending()).toHaveLength(2);
    await clock.advance(MINUTE_MS);
    expect(await written()).toMatchObject([
      { asker: { principal: "user/ann", peer: "2001:db8::1" }, count: 3 },
      { asker: { principal: "user/bob" }, count: 1 },
    ]);
    const [{ firstMs, lastMs } = { firstMs: 0, lastMs: 0 }] = await written();
    expect(lastMs - firstMs).toBe(20_000);
    expect(events.pending()).toEqual([]);
    expect(batches).toBe(1);
  });

  test("and nothing is written while nothing happens", async () => {
    await clock.advance(10 * MINUTE_MS);
    expect(batches).toBe(0);
    events.note(refusal("user/ann", "node.list"));
    await clock.advance(10 * MINUTE_MS);
    expect(batches).toBe(1);
    expect(clock.sleepers).toBe(0);
  });

  test("and at the stop", async () => {
    events.note(refusal("user/ann", "node.list"));
    stop.abort();
    await events.flush();
    expect(await written()).toHaveLength(1);
  });

  test("and an event that comes during a write is in the next one", async () => {
    events.note(refusal("user/ann", "node.list"));
    const writing = events.flush();
    await Promise.resolve();
    events.note(refusal("user/ann", "node.list"));
    await writing;
    expect(events.pending()).toHaveLength(1);
    await events.flush();
    expect((await written()).map(({ count }) => count)).toEqual([1, 1]);
  });

  test("or later, if the disk is full", async () => {
    const { checkRoom } = datastore;
    datastore.checkRoom = () => {
      throw new Error("the disk is full");
    };
    events.note(refusal("user/ann", "node.list"));
    await clock.advance(MINUTE_MS);
    events.note(refusal("user/ann", "node.list"));
    await clock.advance(MINUTE_MS);
    expect(await written()).toEqual([]);
    expect(events.pending()).toMatchObject([{ event: { count: 2 } }]);
    datastore.checkRoom = checkRoom;
    await clock.advance(MINUTE_MS);
    expect(await written()).toMatchObject([{ count: 2 }]);
    expect(events.pending()).toEqual([]);
  });
});

describe("a flood makes a bounded number of records, and each event is counted", () => {
  test("of strangers with many addresses, which take no room from others", async () => {
    for (let i = 0; i < 5_000; i += 1) {
      events.note(wrongToken(`2001:db8:${(i >> 8).toString(16)}:${(i & 255).toString(16)}::1`));
    }
    events.note(refusal("user/ann", "node.list"));
    await events.flush();
    const all = await written();
    expect(all).toHaveLength(102);
    expect(sum(all)).toBe(5_001);
    expect(all.find(({ reason }) => reason === "more")).toMatchObject({
      asker: { principal: "nobody" },
      count: 4_900,
    });
    expect(all.some(({ asker }) => asker.principal === "user/ann")).toBe(true);
  });

  test("of one caller, who takes no room from others", async () => {
    for (let i = 0; i < 5_000; i += 1) events.note(refusal("user/mallory", `node.${i}`));
    for (let i = 0; i < 20; i += 1) events.note(refusal("user/ann", `node.${i}`));
    await events.flush();
    const all = await written();
    const of = (name: string) => all.filter(({ asker }) => asker.principal === name).length;
    expect([of("user/mallory"), of("user/ann"), all.length]).toEqual([20, 20, 41]);
    expect(sum(all)).toBe(5_020);
  });

  test("of many callers, also while nothing can be written", async () => {
    datastore.checkRoom = () => {
      throw new Error("the disk is full");
    };
    for (let minute = 0; minute < 3; minute += 1) {
      for (let i = 0; i < 3_000; i += 1) events.note(refusal(`user/u${minute}-${i}`, "node.list"));
      for (let i = 0; i < 300; i += 1) events.note(wrongToken(`192.0.${minute}.${i}`));
      await events.flush();
    }
    expect(events.pending().length).toBeLessThanOrEqual(1_102);
    expect(sum(events.pending().map(({ event }) => event))).toBe(9_900);
  });
});

describe("old events are deleted", () => {
  async function fill(principal: string, count: number): Promise<void> {
    for (let i = 0; i < count; i += 1) {
      events.note(refusal(principal, "node.list"));
      await events.flush();
    }
  }

  async function counts(): Promise<Record<string, number>> {
    const left: Record<string, number> = {};
    for (const { asker } of await written()) {
      const { principal = "" } = asker;
      left[principal] = (left[principal] ?? 0) + 1;
    }
    return left;
  }

  test("by their age", async () => {
    await fill("user/ann", 700);
    await clock.advance(MINUTE_MS);
    await fill("user/bob", 3);
    await pruneAuditEvents(datastore, clock.nowMs());
    expect(await counts()).toEqual({ "user/bob": 3 });
    await pruneAuditEvents(datastore, -1);
    expect(await counts()).toEqual({ "user/bob": 3 });
  });

  test("by their number, the oldest of those who have the most", async () => {
    await fill("user/ann", 5);
    await clock.advance(MINUTE_MS);
    const middle = clock.nowMs();
    await fill("nobody", 600);
    await clock.advance(MINUTE_MS);
    await fill("nobody", 600);
    await fill("user/bob", 10);
    await pruneAuditEvents(datastore, 0, 615);
    expect(await counts()).toEqual({ "user/ann": 5, "user/bob": 10, nobody: 600 });
    const strangers = (await written()).filter(({ asker }) => asker.principal === "nobody");
    expect(strangers.every(({ firstMs }) => firstMs > middle)).toBe(true);
  });

  test.for([
    [[], 10, 10],
    [[1, 2, 3], 10, 10],
    [[1, 2, 30], 10, 7],
    [[30, 30, 1], 11, 5],
    [[9, 9, 9], 2, 0],
  ] as const)("%j of at most %i: each has at most %i", ([all, max, share]) => {
    expect(shareOf(all, max)).toBe(share);
  });
});
