import { expect, test } from "vitest";
import { holderOf } from "./port.ts";

const line = (address: string, users: string) =>
  `LISTEN 0      511    ${address} 0.0.0.0:*  ${users}\n`;
const holder = (listeners: string) => holderOf(listeners, (pid) => `command of ${pid}`);

test.each([
  "127.0.0.1:20180",
  "0.0.0.0:20180",
  "*:20180",
  "[::]:20180",
  "[::ffff:127.0.0.1]:20180",
])("a listener on %s is in the way", (address) => {
  expect(holder(line(address, 'users:(("MainThread",pid=42,fd=22))'))).toEqual({
    pid: 42,
    text: "process 42, command of 42",
  });
});

test.each(["10.0.0.1:20180", "[::1]:20180", "127.0.0.2:20180"])(
  "a listener on %s is not",
  (address) => {
    expect(holder(line(address, 'users:(("MainThread",pid=42,fd=22))'))).toBeUndefined();
  },
);

test("the first that is in the way is told, also one of another container", () => {
  const listeners = line("10.0.0.1:20180", "") + line("0.0.0.0:20180", "");
  expect(holder(listeners)).toMatchObject({ pid: undefined });
  expect(holder("")).toBeUndefined();
});
