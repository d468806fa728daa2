import { describe, expect, test } from "vitest";
import { listenerUids, whyNotTrusted } from "./listeners.ts";

const HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid";

function table(...rows: readonly (readonly [local: string, state: string, uid: number])[]): string {
  const line = ([local, state, uid]: (typeof rows)[number], i: number) =>
    `   ${i}: ${local} 00000000:0000 ${state} 00000000:00000000 00:00000000 00000000  ${uid}        0 1586 1 0`;
  return [HEAD, ...rows.map(line), ""].join("\n");
}

// 20180 is 0x4ED4.
describe("who waits for connections to a port on loopback", () => {
  test.each([
    ["127.0.0.1", "0100007F:4ED4"],
    ["127.0.0.1 on a big-endian machine", "7F000001:4ED4"],
    ["every address", "00000000:4ED4"],
    ["every address of IPv6", "00000000000000000000000000000000:4ED4"],
    ["::1", "00000000000000000000000001000000:4ED4"],
    ["127.0.0.1 within IPv6", "0000000000000000FFFF00000100007F:4ED4"],
  ])("%s", (_, local) => {
    expect(listenerUids([table([local, "0A", 1000])], 20180)).toEqual([1000]);
  });

  test.each([
    ["another port", "0100007F:4ED5", "0A"],
    ["a connection", "0100007F:4ED4", "01"],
    ["an address of the network", "0A00000A:4ED4", "0A"],
    ["an address of IPv6", "000080FE00000000FF005450EFBD1200:4ED4", "0A"],
  ])("not %s", (_, local, state) => {
    expect(listenerUids([table([local, state, 1000])], 20180)).toEqual([]);
  });
});

test("a secret goes to root and to its owners, and to nobody where a stranger could be meant", () => {
  const root = table(["0100007F:4ED4", "0A", 0]);
  const owner = table(["0100007F:4ED4", "0A", 1000]);
  expect(whyNotTrusted([root, table()], 20180, [])).toBeUndefined();
  expect(whyNotTrusted([owner], 20180, [1000])).toBeUndefined();
  expect(whyNotTrusted([owner], 20180, [1001])?.text).toMatch(/^user 1000 listens on port 20180/);
  expect(whyNotTrusted([root, owner], 20180, [])?.uid).toBe(1000);
  expect(whyNotTrusted([root, owner], 20180, [])?.text).toMatch(/^user 1000/);
  expect(whyNotTrusted([table()], 20180, [])?.text).toMatch(/^no process of this host listens/);
});
