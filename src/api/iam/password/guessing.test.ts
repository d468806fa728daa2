import { expect, test } from "vitest";
import { refused } from "../../../../test/refused.ts";
import { newShiftingClock } from "../../../../test/shifting-clock.ts";
import { newWorld, type World } from "../../../../test/world.ts";
import { PasswordService } from "../../../gen/n0stack/iam/v1alpha1/password_pb.ts";
import { type Clock, systemClock } from "../../../util/clock.ts";
import { N0Error } from "../../../util/errors.ts";
import { hashOf } from "../token/text.ts";
import { Hashing } from "./hashing.ts";
import { PasswordTries } from "./tries.ts";

const PASSWORD = "a good password";

const signIn = (world: World, userName: string, password: string) =>
  world
    .client(PasswordService)
    .signIn({ userName, password, secretSha256: hashOf(`a secret of ${userName}`) });

async function prepare(world: World): Promise<void> {
  for (const name of ["ann", "bob", "none"]) await world.users.createUser({ name });
  for (const userName of ["ann", "bob"]) {
    await world.client(PasswordService).setPassword({ userName, newPassword: PASSWORD });
  }
}

test("a user who does not exist, one without a password, and a wrong one get the same answer", async () => {
  await using world = await newWorld({ nodeCount: 0, inMemory: true });
  await prepare(world);
  const answers = [];
  for (const [userName, password] of [
    ["nobody", PASSWORD],
    ["none", PASSWORD],
    ["ann", "a bad password"],
  ] as const) {
    answers.push(await refused(signIn(world, userName, password)));
  }
  const elsewhere = {
    domain: "nowhere",
    userName: "ann",
    password: PASSWORD,
    secretSha256: hashOf("a"),
  };
  answers.push(await refused(world.client(PasswordService).signIn(elsewhere)));
  expect(answers[0]).toMatchObject({ code: "Unauthenticated" });
  expect(new Set(answers.map(({ code, message }) => `${code} ${message}`)).size).toBe(1);
});

test("10,000 wrong passwords are throttled, and other requests stay fast", async () => {
  const clock = { ...systemClock, monotonicMs: () => 0 };
  await using world = await newWorld({ nodeCount: 0, inMemory: true, clock });
  await prepare(world);
  const codes: string[] = [];
  const guess = async (): Promise<void> => {
    const i = codes.push("");
    if (i > 10_000) return;
    const { code } = await refused(signIn(world, i % 2 === 0 ? "ann" : `other-${i}`, `guess ${i}`));
    codes[i - 1] = code;
    await guess();
  };
  const guessing = Promise.all(Array.from({ length: 64 }, guess));
  let slowestMs = 0;
  for (let i = 0; i < 50; i += 1) {
    const startMs = performance.now();
    await world.users.getUser({ name: "ann" });
    slowestMs = Math.max(slowestMs, performance.now() - startMs);
  }
  await guessing;
  expect(slowestMs).toBeLessThan(1_000);
  const count = (code: string) => codes.filter((one) => one === code).length;
  // Those of the address.
  expect([count("Unauthenticated"), count("ResourceExhausted")]).toEqual([20, 9_980]);
  const waiting = await refused(signIn(world, "ann", PASSWORD));
  expect(waiting.message).toMatch(/^too many wrong passwords .* try again in \d+ seconds?$/);
});

test("a wait is over after a while, and a right password is forgiven all before", async () => {
  const clock = newShiftingClock();
  await using world = await newWorld({ nodeCount: 0, inMemory: true, clock });
  await prepare(world);
  const guess = async () => (await refused(signIn(world, "ann", "a bad password"))).code;
  for (let i = 0; i < 5; i += 1) expect(await guess()).toBe("Unauthenticated");
  expect(await guess()).toBe("ResourceExhausted");
  await signIn(world, "bob", PASSWORD);
  clock.shiftMs(1_001);
  await signIn(world, "ann", PASSWORD);
  for (let i = 0; i < 5; i += 1) expect(await guess()).toBe("Unauthenticated");
});

function atHand() {
  let nowMs = 0;
  const clock: Pick<Clock, "monotonicMs"> = { monotonicMs: () => nowMs };
  return { tries: new PasswordTries(clock), pass: (ms: number) => void (nowMs += ms) };
}

function waitMs(begin: () => unknown): number {
  try {
    begin();
    return 0;
  } catch (reason) {
    return reason instanceof N0Error ? (reason.facts.retryAfterMs ?? 0) : 0;
  }
}

test("waits double, and end at half a minute", () => {
  const { tries, pass } = atHand();
  for (let i = 0; i < 4; i += 1) tries.begin("ann", "10.0.1.1");
  const waits: number[] = [];
  for (let i = 0; i < 8; i += 1) {
    tries.begin("ann", `10.0.0.${i}`);
    const wait = waitMs(() => tries.begin("ann", "10.1.0.1"));
    waits.push(wait);
    pass(wait);
  }
  expect(waits).toEqual([1, 2, 4, 8, 16, 30, 30, 30].map((s) => s * 1_000));
  pass(15 * 60_000 + 1);
  tries.begin("ann", "10.0.0.1");
  expect(waitMs(() => tries.begin("ann", "10.1.0.1"))).toBe(0);
});

test("an address waits whatever users it tries, and an own user there does not help it", () => {
  const { tries } = atHand();
  for (let i = 0; i < 20; i += 1) {
    tries.begin(`user-${i}`, "2001:db8::1");
    if (i < 19) tries.begin("mallory", "2001:db8::1").succeeded();
  }
  expect(waitMs(() => tries.begin("mallory", "2001:db8::2"))).toBe(1_000);
  expect(waitMs(() => tries.begin("mallory", "2001:db9::1"))).toBe(0);
});

test("where a user has signed in, nobody elsewhere makes him wait", () => {
  const { tries } = atHand();
  tries.begin("ann", "10.0.0.1").succeeded();
  for (let i = 0; i < 5; i += 1) tries.begin("ann", `10.1.0.${i}`);
  expect(waitMs(() => tries.begin("ann", "10.1.0.9"))).toBe(1_000);
  expect(waitMs(() => tries.begin("ann", "10.0.0.1"))).toBe(0);
});

test("two are hashed at once, 64 wait in line, and one more is refused", async () => {
  const hashing = new Hashing();
  let running = 0;
  let most = 0;
  const open = Promise.withResolvers<void>();
  const work = async () => {
    running += 1;
    most = Math.max(most, running);
    await open.promise;
    running -= 1;
  };
  const all = Array.from({ length: 66 }, () => hashing.run(work));
  await expect(hashing.run(work)).rejects.toMatchObject({ kind: "resource_exhausted" });
  open.resolve();
  await Promise.all(all);
  expect(most).toBe(2);
  await hashing.run(work);
});
