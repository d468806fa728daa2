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

test("a token is good once, for its name and purpose alone", () => {
  const { tokens } = booth();
  const token = tokens.issue("vnc", "web");
  expect(tokens.take("vnc", "web2", token)).toBe(false);
  expect(tokens.take("download", "web", token)).toBe(false);
  expect(tokens.take("vnc", "web", `${token}x`)).toBe(false);
  expect(tokens.take("vnc", "web", "")).toBe(false);
  expect(tokens.take("vnc", "web", token)).toBe(true);
  expect(tokens.take("vnc", "web", token)).toBe(false);
});

test("a console's token lasts a minute, a download's ten, for many ranges", () => {
  const { tokens, pass } = booth();
  const console = tokens.issue("vnc", "web");
  const download = tokens.issue("download", "disk", "disk.1");
  pass(59_999);
  expect(tokens.find("vnc", "web", console)).toBe("");
  pass(1);
  expect(tokens.take("vnc", "web", console)).toBe(false);
  expect(tokens.find("download", "disk", download)).toBe("disk.1");
  expect(tokens.find("download", "disk", download)).toBe("disk.1");
  pass(540_000);
  expect(tokens.find("download", "disk", download)).toBeUndefined();
});

test("there is a limit, and what has expired does not count", () => {
  const { tokens, pass } = booth();
  for (let i = 0; i < 10_000; i += 1) tokens.issue("vnc", "web");
  expect(() => tokens.issue("vnc", "web")).toThrow("too many console links");
  pass(60_000);
  expect(tokens.issue("vnc", "web")).toMatch(/^[\w-]{43}$/);
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
