import { expect, test } from "vitest";
import { blockStorageRef, vmRef } from "../../../../test/refs.ts";
import { memoryDatastore } from "../../../datastore/memory/memory-datastore.ts";
import { systemRandom } from "../../../util/random.ts";
import { consoleUrl, downloadRef, downloadUrl, vncSocketRef } from "../urls.ts";
import { consoleTokens } from "./token-record.ts";
import { type ConsoleTokens, openConsoleTokens, pruneConsoleTokens } from "./tokens.ts";

async function booth(datastore = memoryDatastore()) {
  let nowMs = 0;
  const clock = { nowMs: () => nowMs };
  const open = () => openConsoleTokens({ datastore, clock, random: systemRandom });
  const stored = async () => (await datastore.list(consoleTokens.prefix)).length;
  return { tokens: await open(), open, datastore, stored, pass: (ms: number) => (nowMs += ms) };
}

const web = { ref: vmRef("web"), id: "uuid-1" };

test("a token is good once, for its name and purpose alone, and tells what it is for", async () => {
  const { tokens, stored } = await booth();
  const token = await tokens.issue("vnc", web, "192.0.2.1");
  expect(await tokens.take("vnc", vmRef("web2"), token)).toBeUndefined();
  expect(await tokens.take("download", vmRef("web"), token)).toBeUndefined();
  expect(await tokens.take("vnc", vmRef("web"), `${token}x`)).toBeUndefined();
  expect(await tokens.take("vnc", vmRef("web"), "")).toBeUndefined();
  expect(await tokens.take("vnc", vmRef("web"), token)).toMatchObject({
    id: "uuid-1",
    asker: "192.0.2.1",
  });
  expect(await tokens.take("vnc", vmRef("web"), token)).toBeUndefined();
  expect(await stored()).toBe(0);
});

test("of all who take a token at once, in any process, one gets it", async () => {
  const { tokens, open } = await booth();
  const token = await tokens.issue("vnc", web, "");
  const others = [await open(), await open(), tokens];
  const taken = await Promise.all(others.map((other) => other.take("vnc", vmRef("web"), token)));
  expect(taken.filter((link) => link !== undefined)).toHaveLength(1);
});

test("a token outlives the process that issued it, and no secret is written down", async () => {
  const { tokens, open, datastore } = await booth();
  const token = await tokens.issue("vnc", web, "");
  tokens[Symbol.dispose]();
  const entries = await datastore.list("");
  const text = entries.map(({ key, value }) => key + Buffer.from(value).toString()).join();
  expect(text).toContain("uuid-1");
  expect(text).not.toContain(token);
  expect(await (await open()).take("vnc", vmRef("web"), token)).toBeDefined();
});

test("a console's token lasts a minute, a download's ten, for many ranges", async () => {
  const { tokens, pass } = await booth();
  const console = await tokens.issue("vnc", web, "");
  const download = await tokens.issue(
    "download",
    { ref: blockStorageRef("disk"), id: "disk.1" },
    "",
  );
  pass(59_999);
  expect(await tokens.find("vnc", vmRef("web"), console)).toBeDefined();
  pass(1);
  expect(await tokens.take("vnc", vmRef("web"), console)).toBeUndefined();
  expect(await tokens.find("download", blockStorageRef("disk"), download)).toMatchObject({
    id: "disk.1",
  });
  expect(await tokens.find("download", blockStorageRef("disk"), download)).toMatchObject({
    id: "disk.1",
  });
  pass(540_000);
  expect(await tokens.find("download", blockStorageRef("disk"), download)).toBeUndefined();
});

test("what has expired is forgotten, with the next token or without", async () => {
  const { tokens, datastore, stored, pass } = await booth();
  await tokens.issue("vnc", web, "");
  await tokens.issue("download", web, "");
  pass(60_000);
  expect(await stored()).toBe(2);
  await tokens.issue("vnc", web, "");
  expect(await stored()).toBe(2);
  await pruneConsoleTokens(datastore, 600_000);
  expect(await stored()).toBe(0);
});

test("who asks for many takes the places of his own oldest links, and of nobody else's", async () => {
  const { tokens, open, stored } = await booth();
  const other = await tokens.issue("vnc", web, "192.0.2.2");
  const issue = (by: ConsoleTokens) => by.issue("vnc", web, "192.0.2.1");
  const many = await Promise.all(Array.from({ length: 1_001 }, () => issue(tokens)));
  // Another process, which knows of them by their records.
  const later = await open();
  for (let i = 0; i < 2; i += 1) many.push(await issue(later));
  const found = await Promise.all(many.map((token) => tokens.find("vnc", vmRef("web"), token)));
  const isGood = found.map((link) => link !== undefined);
  expect(isGood.indexOf(true)).toBe(3);
  expect(isGood.filter(Boolean)).toHaveLength(1_000);
  expect(await tokens.find("vnc", vmRef("web"), other)).toBeDefined();
  expect(await stored()).toBe(1_001);
});

test("there are ten thousand in all: the oldest of whoever has most goes", async () => {
  const { tokens, pass, stored } = await booth();
  const issue = (n: number) => tokens.issue("vnc", web, `192.0.2.${n}`);
  const one = await issue(100);
  const first = await issue(0);
  const second = await issue(0);
  await Promise.all(Array.from({ length: 9_997 }, (_, i) => issue(i % 11)));
  const late = await issue(101);
  const good = await Promise.all(
    [one, first, second, late].map((token) => tokens.find("vnc", vmRef("web"), token)),
  );
  expect(good.map((link) => link !== undefined)).toEqual([true, false, true, true]);
  expect(await stored()).toBe(10_000);
  pass(60_000);
  expect(await issue(0)).toMatch(/^[\w-]{43}$/);
  expect(await stored()).toBe(1);
});

test("links are absolute, and the console's token is in the part that no server sees", () => {
  const url = consoleUrl("https://cloud.example:20180", vmRef("web-1"), "tok");
  expect(url).toBe(
    "https://cloud.example:20180/n0core/static/virtual_machines/vnc.html" +
      "?path=n0core%2Fapi%2Fv0%2Fvirtual_machines%2Fweb-1%2Fvncwebsocket#token=tok",
  );
  expect(vncSocketRef(`/${new URL(url).searchParams.get("path")}`)).toEqual(vmRef("web-1"));
  const download = new URL(downloadUrl("http://[::1]:20180", blockStorageRef("disk"), "tok"));
  expect(download.href).toBe(
    "http://[::1]:20180/n0core/api/v0/block_storage/download/disk?token=tok",
  );
  expect(downloadRef(download.pathname)).toEqual(blockStorageRef("disk"));
});

test("a link to an object is none to that of its name in another scope", async () => {
  const { tokens } = await booth();
  const theirs = { ...web.ref, scope: "acme" };
  const token = await tokens.issue("vnc", { ...web, ref: theirs }, "");
  expect(await tokens.find("vnc", web.ref, token)).toBeUndefined();
  expect(await tokens.find("vnc", theirs, token)).toMatchObject({ id: "uuid-1" });
  const path = new URL(consoleUrl("http://[::1]:20180", theirs, token)).searchParams.get("path");
  expect(vncSocketRef(`/${path}`)).toEqual(theirs);
  const disk = { ...blockStorageRef("disk"), scope: "acme" };
  expect(downloadRef(new URL(downloadUrl("http://[::1]:20180", disk, token)).pathname)).toEqual(
    disk,
  );
});

test.each(["..", "~a", "a~", "a~b~c", "a%2fb", "", "a/b", "x".repeat(64)])(
  "%j is no name in a path",
  (name) => {
    expect(downloadRef(`/n0core/api/v0/block_storage/download/${name}`)).toBeUndefined();
    expect(vncSocketRef(`/n0core/api/v0/virtual_machines/${name}/vncwebsocket`)).toBeUndefined();
  },
);
