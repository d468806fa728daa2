import { expect, test } from "vitest";
import { systemRandom } from "../../util/random.ts";
import { newAuthorityFiles, openAuthority } from "./authority.ts";
import { checkCopyTicket, copyTicket } from "./copy-ticket.ts";

const NOW_MS = Date.UTC(2026, 0, 1);
const COPY = { volumeId: "v1", sourceNode: "n2", readerNode: "n1" };

const newAuthority = async () =>
  await openAuthority(await newAuthorityFiles(NOW_MS, systemRandom), systemRandom);
const authority = await newAuthority();
const other = await newAuthority();

const ticket = copyTicket(COPY, authority.signTicket, NOW_MS);
const check = (text: string, copy = COPY, nowMs = NOW_MS) =>
  checkCopyTicket(text, copy, authority.certificate, nowMs);

test("a ticket is for an hour, and fits into its field", () => {
  expect(() => check(ticket)).not.toThrow();
  expect(() => check(ticket, COPY, NOW_MS + 3_600_000)).not.toThrow();
  const longest = {
    volumeId: "v".repeat(128),
    sourceNode: "s".repeat(63),
    readerNode: "r".repeat(63),
  };
  expect(copyTicket(longest, authority.signTicket, NOW_MS).length).toBeLessThanOrEqual(1024);
});

test.for([
  ["another volume", () => check(ticket, { ...COPY, volumeId: "v2" }), "is for another copy"],
  ["another source", () => check(ticket, { ...COPY, sourceNode: "n3" }), "is for another copy"],
  ["another reader", () => check(ticket, { ...COPY, readerNode: "n3" }), "is for another copy"],
  ["no ticket", () => check(""), "it has no ticket of the API"],
  [
    "another authority",
    () => check(copyTicket(COPY, other.signTicket, NOW_MS)),
    "the API has not signed its ticket",
  ],
  ["a cut one", () => check(ticket.slice(0, -1)), "the API has not signed its ticket"],
  ["a longer one", () => check(`${ticket}A`), "the API has not signed its ticket"],
  [
    "other content under its signature",
    () => check(`${Buffer.from("{}").toString("base64url")}.${ticket.split(".")[1]}`),
    "the API has not signed its ticket",
  ],
  [
    "a late one",
    () => check(ticket, COPY, NOW_MS + 3_600_001),
    'ended at 2026-01-01T01:00:00.000Z, and the clock of node "n2" says 2026-01-01T01:00:00.001Z',
  ],
] as const)("refuses %s", ([, act, why]) => {
  expect(act).toThrow(why);
  expect(act).toThrow(expect.objectContaining({ kind: "permission_denied" }));
});
