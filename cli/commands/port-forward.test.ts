import { once } from "node:events";
import { connect, createServer } from "node:net";
import { PassThrough } from "node:stream";
import { text } from "node:stream/consumers";
import { afterAll, expect, test } from "vitest";
import { run } from "../program.ts";
import { makeWeb, openTestApi } from "../testing/test-api.ts";
import { newTestIo } from "../testing/test-io.ts";

const api = await openTestApi();
await makeWeb(api);
afterAll(() => api[Symbol.asyncDispose]());

const { network } = api.world.fakeNodes[0]!.drivers;
network.connectHandler = (_, address, port) => {
  if (port === 81) throw new Error("nobody listens there");
  const echo = new PassThrough();
  echo.write(`${address} ${port} `);
  return echo;
};

/** A port-forward that runs, and the local ports of what it forwards. */
async function forwarding(...words: readonly string[]) {
  const t = newTestIo({ transport: api.transport });
  const ended = run(["port-forward", "web", ...words], t.io);
  const wanted = words.filter((word) => /^\d/.test(word)).length;
  const lines = () => t.stdout().split("\n").slice(0, -1);
  await expect.poll(() => lines().length).toBe(wanted);
  const ports = lines().map((line) => Number(/:(\d+) -> /.exec(line)?.[1]));
  return { t, ended, lines: lines(), ports };
}

test("each connection is joined to the port, several at a time, and Ctrl-C ends it", async () => {
  const { t, ended, lines, ports } = await forwarding("0:80", "0:443");
  expect(lines).toEqual([`127.0.0.1:${ports[0]} -> web:80`, `127.0.0.1:${ports[1]} -> web:443`]);
  const sockets = [ports[0]!, ports[0]!, ports[1]!].map((port) => connect(port, "127.0.0.1"));
  // All are open before the first has sent something.
  await Promise.all(sockets.map((socket) => once(socket, "connect")));
  const answers = sockets.map((socket) => text(socket));
  for (const [i, socket] of sockets.entries()) socket.end(`hello ${i}`);
  expect(await Promise.all(answers)).toEqual([
    "10.0.0.253 80 hello 0",
    "10.0.0.253 80 hello 1",
    "10.0.0.253 443 hello 2",
  ]);
  t.interrupt();
  expect([await ended, t.stderr()]).toEqual([0, ""]);
  await expect(once(connect(ports[0]!, "127.0.0.1"), "connect")).rejects.toThrow("ECONNREFUSED");
});

test("a connection that the guest refuses is reset and said, and the next one works", async () => {
  const { t, ended, ports } = await forwarding("0:81", "0:80");
  const refused = connect(ports[0]!, "127.0.0.1");
  await expect(text(refused)).rejects.toThrow("ECONNRESET");
  await expect.poll(() => t.stderr()).toMatch(/^web:81: /);
  const socket = connect(ports[1]!, "127.0.0.1").end("x");
  expect(await text(socket)).toBe("10.0.0.253 80 x");
  t.interrupt();
  expect(await ended).toBe(0);
});

test("what is open ends with Ctrl-C", async () => {
  const { t, ended, ports } = await forwarding("0:80");
  const socket = connect(ports[0]!, "127.0.0.1");
  await once(socket, "data");
  const closed = once(socket, "close").catch(() => undefined);
  t.interrupt();
  expect(await ended).toBe(0);
  await closed;
});

test("a local port that is taken is named, and nothing stays open", async () => {
  const other = createServer().listen(0, "127.0.0.1");
  await once(other, "listening");
  const { port } = other.address() as { port: number };
  const t = newTestIo({ transport: api.transport });
  expect(await run(["port-forward", "web", "0:80", `${port}:81`], t.io)).toBe(6);
  expect(t.stderr()).toContain(`cannot listen on 127.0.0.1:${port}: `);
  other.close();
});

test.each([
  [["web", "80:"], 2, "LOCAL:REMOTE"],
  [["web", "70000"], 2, "LOCAL:REMOTE"],
  [["web", "80:0"], 2, "LOCAL:REMOTE"],
  [["web"], 2, "ports"],
  [["web", "--bind", "localhost", "80"], 2, "an IP address"],
  [["gone", "80"], 5, "does not exist"],
] as const)("port-forward %j is refused", async (words, exitCode, message) => {
  const t = newTestIo({ transport: api.transport });
  expect(await run(["port-forward", ...words], t.io)).toBe(exitCode);
  expect(t.stderr()).toContain(message);
});
