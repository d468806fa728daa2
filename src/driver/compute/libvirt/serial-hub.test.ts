import { once } from "node:events";
import type { Duplex } from "node:stream";
import { duplexPair } from "node:stream";
import { expect, test } from "vitest";
import { createSerialHub } from "./serial-hub.ts";

function newLines() {
  const guests: Duplex[] = [];
  const hub = createSerialHub(async () => {
    const [line, guest] = duplexPair();
    guests.push(guest);
    return line;
  });
  return { hub, guests };
}

async function readText(stream: Duplex): Promise<string> {
  const [chunk] = (await once(stream, "data")) as [Buffer];
  return chunk.toString();
}

test("two viewers share one connection: both see, both may type", async () => {
  const { hub, guests } = newLines();
  const [a, b] = await Promise.all([hub.open("vm"), hub.open("vm")]);
  const [guest] = guests as [Duplex];
  const shown = Promise.all([readText(a), readText(b)]);
  guest.write("login: ");
  expect(await shown).toEqual(["login: ", "login: "]);
  for (const [viewer, text] of [
    [a, "x"],
    [b, "y"],
  ] as const) {
    const typed = readText(guest);
    viewer.write(text);
    expect(await typed).toBe(text);
  }
  expect(guests.length).toBe(1);
});

test("the last viewer that leaves frees the console, and the next one connects anew", async () => {
  const { hub, guests } = newLines();
  const [a, b] = [await hub.open("vm"), await hub.open("vm")];
  a.destroy();
  await once(a, "close");
  const shown = readText(b);
  guests[0]!.write("still here");
  expect(await shown).toBe("still here");
  b.destroy();
  await once(b, "close");
  await hub.open("vm");
  expect(guests.length).toBe(2);
});

test("when the guest goes away, every viewer ends", async () => {
  const { hub, guests } = newLines();
  const viewer = await hub.open("vm");
  guests[0]!.destroy();
  viewer.resume();
  await once(viewer, "end");
});

test("a viewer that does not read is cut off, the others go on", async () => {
  const { hub, guests } = newLines();
  const lazy = await hub.open("vm");
  const eager = await hub.open("vm");
  let eagerBytes = 0;
  eager.on("data", (chunk: Buffer) => {
    eagerBytes += chunk.length;
  });
  const cut = once(lazy, "error");
  const chunk = Buffer.alloc(64 * 1024);
  for (let i = 0; i < 20; i++) {
    if (!guests[0]!.write(chunk)) await once(guests[0]!, "drain");
  }
  expect(await cut).toMatchObject([{ kind: "resource_exhausted" }]);
  await expect.poll(() => eagerBytes).toBe(20 * chunk.length);
});

test("a console that cannot be opened leaves nothing behind", async () => {
  let attempts = 0;
  const hub = createSerialHub(async () => {
    attempts++;
    throw new Error("off");
  });
  await expect(hub.open("vm")).rejects.toThrow("off");
  await expect(hub.open("vm")).rejects.toThrow("off");
  expect(attempts).toBe(2);
});
