import { appendFile, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { systemClock } from "../../../util/clock.ts";
import { readSerialLogFiles } from "./serial-log.ts";

let folder: string;
let log: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "n0-serial-"));
  log = join(folder, "serial.log");
});

afterEach(() => rm(folder, { recursive: true, force: true }));

async function readAll(follow: boolean, signal: AbortSignal, onText?: (text: string) => void) {
  let text = "";
  for await (const chunk of readSerialLogFiles(log, follow, systemClock, signal)) {
    text += Buffer.from(chunk).toString();
    onText?.(text);
  }
  return text;
}

const never = new AbortController().signal;

test("rotated files come before the newest, oldest first", async () => {
  await writeFile(`${log}.10`, "a");
  await writeFile(`${log}.2`, "b");
  await writeFile(`${log}.0`, "c");
  await writeFile(log, "d");
  await writeFile(`${log}.old`, "not a log");
  expect(await readAll(false, never)).toBe("abcd");
});

test("a log or a folder that is not there is empty", async () => {
  expect(await readAll(false, never)).toBe("");
  await rm(folder, { recursive: true });
  expect(await readAll(true, never)).toBe("");
});

test("following yields each byte once over two rotations, until aborted", async () => {
  await writeFile(log, "1");
  const controller = new AbortController();
  const waiting = new Map<string, () => void>();
  const seen = (text: string) => new Promise<void>((resolve) => waiting.set(text, resolve));
  const first = seen("12");
  const last = seen("12345");
  const reading = readAll(true, controller.signal, (text) => waiting.get(text)?.());

  await appendFile(log, "2");
  await first;
  await appendFile(log, "3");
  await rename(log, `${log}.0`);
  await writeFile(log, "4");
  await rename(`${log}.0`, `${log}.1`);
  await rename(log, `${log}.0`);
  await writeFile(log, "5");
  await last;
  controller.abort();
  expect(await reading).toBe("12345");
});

test("following ends when the folder is removed with the machine", async () => {
  await writeFile(log, "bye");
  const reading = readAll(true, never, () => void rm(folder, { recursive: true }));
  expect(await reading).toBe("bye");
});
