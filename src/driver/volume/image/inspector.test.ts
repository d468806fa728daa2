import { Worker } from "node:worker_threads";
import { expect, test } from "vitest";
import { blankQcow2 } from "./blank-qcow2.ts";
import { sampleOf } from "./image-format.ts";
import { newInspector } from "./inspector.ts";
import { ImageFormatError } from "./qcow2-header.ts";

const never = new AbortController().signal;
const good = sampleOf(blankQcow2(2n ** 20n));
/** Answers what is text by hanging, and anything else as raw. */
const HANGING = `
const { parentPort } = require("node:worker_threads");
parentPort.on("message", ({ id, sample }) => {
  while (sample.head[0] === 0x74);
  parentPort.postMessage({ id, inspected: { format: "raw", isAsOurs: false } });
});`;

test("tells what an image is, or refuses it", async () => {
  const { inspect } = newInspector();
  const [qcow2, raw] = await Promise.all([
    inspect(good, never),
    inspect(sampleOf(new Uint8Array(1000)), never),
  ]);
  expect(qcow2).toEqual({ format: "qcow2", virtualSizeBytes: 2n ** 20n, isAsOurs: true });
  expect(raw).toEqual({ format: "raw", virtualSizeBytes: 1024n, isAsOurs: false });
  const refused = inspect(sampleOf(Buffer.from("some text")), never);
  await expect(refused).rejects.toBeInstanceOf(ImageFormatError);
  await expect(refused).rejects.toThrow("is text: give the image file itself");
});

test("an image that would take for ever holds up nobody", async () => {
  let threads = 0;
  const startThread = () => {
    threads += 1;
    return new Worker(HANGING, { eval: true });
  };
  // Time enough for the second thread to start, also on a busy machine.
  const { inspect } = newInspector({ startThread, timeoutMs: 2_000 });
  const first = inspect(sampleOf(Buffer.from("text")), never);
  const second = inspect(good, never);
  await expect(first).rejects.toThrow("takes too long to inspect");
  expect(await second).toMatchObject({ format: "raw" });
  expect(threads).toBe(2);
});

test("a thread that ends at an image refuses that one alone, and one with nothing to do ends", async () => {
  let ended = 0;
  const startThread = () => {
    const thread = new Worker(
      HANGING.replace(
        "while (sample.head[0] === 0x74)",
        "if (sample.head[0] === 0x74) throw new Error('broken')",
      ),
      { eval: true },
    );
    thread.on("exit", () => {
      ended += 1;
    });
    return thread;
  };
  const { inspect } = newInspector({ startThread, idleMs: 1 });
  const first = inspect(sampleOf(Buffer.from("text")), never);
  const second = inspect(good, never);
  await expect(first).rejects.toThrow("broken");
  expect(await second).toMatchObject({ format: "raw" });
  await expect.poll(() => ended).toBe(2);
});

test("who gives up is told so at once", async () => {
  const { inspect } = newInspector();
  const abort = new AbortController();
  const given = inspect(good, abort.signal);
  abort.abort(new Error("enough"));
  await expect(given).rejects.toThrow("enough");
  await expect(inspect(good, abort.signal)).rejects.toThrow("enough");
});
