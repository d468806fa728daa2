import { expect, test } from "vitest";
import { systemRandom } from "../../util/random.ts";
import { createConsoleTokens } from "./tokens.ts";
import { consoleUrl, downloadName, downloadUrl, vncSocketName } from "./urls.ts";

function booth() {
  let nowMs = 0;
  const clock = { nowMs: () => 0, monotonicMs: () => nowMs, sleep: async () => {} };
  const tokens = createConsoleTokens({ clock, random: systemRandom });
  return { tokens, pass: (ms: number) => (nowMs += ms) };
}

const web = { name: "web", id: "uuid-1" };

test("a token is good once, for its name and purpose alone, and tells what it is for", () => {
  const { tokens } = booth();
  const token = tokens.issue("vnc", web, "192.0.2.1");
  expect(tokens.take("vnc", "web2", token)).toBeUndefined();
  expect(tokens.take("download", "web", token)).toBeUndefined();
  expect(tokens.take("vnc", "web", `${token}x`)).toBeUndefined();
  expect(tokens.take("vnc", "web", "")).toBeUndefined();
  expect(tokens.take("vnc", "web", token)).toMatchObject({ id: "uuid-1", asker: "192.0.2.1" });
  expect(tokens.take("vnc", "web", token)).toBeUndefined();
});

test("a console's token lasts a minute, a download's ten, for many ranges", () => {
  const { tokens, pass } = booth();
  const console = tokens.issue("vnc", web, "");
  const download = tokens.issue("download", { name: "disk", id: "disk.1" }, "");
  pass(59_999);
  expect(tokens.find("vnc", "web", console)).toBeDefined();
  pass(1);
  expect(tokens.take("vnc", "web", console)).toBeUndefined();
  expect(tokens.find("download", "disk", download)).toMatchObject({ id: "disk.1" });
  expect(tokens.find("download", "disk", download)).toMatchObject({ id: "disk.1" });
  pass(540_000);
  expect(tokens.find("download", "disk", download)).toBeUndefined();
});

test("who asks for many takes the places of his own oldest links, and of nobody else's", () => {
  const { tokens } = booth();
  const other = tokens.issue("vnc", web, "192.0.2.2");
  const many = Array.from({ length: 1_003 }, () => tokens.issue("vnc", web, "192.0.2.1"));
  const isGood = (token: string) => tokens.find("vnc", "web", token) !== undefined;
  expect(many.map(isGood).indexOf(true)).toBe(3);
  expect(many.filter(isGood)).toHaveLength(1_000);
  expect(isGood(other)).toBe(true);
});

test("there are ten thousand in all: the oldest of whoever has most goes", () => {
  const { tokens, pass } = booth();
  const issue = (n: number) => tokens.issue("vnc", web, `192.0.2.${n}`);
  const one = issue(100);
  const first = issue(0);
  const second = issue(0);
  for (let i = 0; i < 9_997; i += 1) issue(i % 11);
  const late = issue(101);
  const good = [one, first, second, late].map((token) => tokens.find("vnc", "web", token));
  expect(good.map((link) => link !== undefined)).toEqual([true, false, true, true]);
  pass(60_000);
  expect(issue(0)).toMatch(/^[\w-]{43}$/);
});

test("links are absolute, and the console's token is in the part that no server sees", () => {
  const url = consoleUrl("https://cloud.example:20180", "web-1", "tok");
  expect(url).toBe(
    "https://cloud.example:20180/n0core/static/virtual_machines/vnc.html" +
      "?path=n0core%2Fapi%2Fv0%2Fvirtual_machines%2Fweb-1%2Fvncwebsocket#token=tok",
  );
  expect(vncSocketName(`/${new URL(url).searchParams.get("path")}`)).toBe("web-1");
  const download = new URL(downloadUrl("http://[::1]:20180", "disk", "tok"));
  expect(download.href).toBe(
    "http://[::1]:20180/n0core/api/v0/block_storage/download/disk?token=tok",
  );
  expect(downloadName(download.pathname)).toBe("disk");
});

test.each(["..", "a%2fb", "", "a/b", "x".repeat(64)])("%j is no name in a path", (name) => {
  expect(downloadName(`/n0core/api/v0/block_storage/download/${name}`)).toBeUndefined();
  expect(vncSocketName(`/n0core/api/v0/virtual_machines/${name}/vncwebsocket`)).toBeUndefined();
});
