import { once } from "node:events";
import { createClient } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { WebSocket } from "ws";
import { blockStorageRef, vmRef } from "../../../test/refs.ts";
import { memoryDatastore } from "../../datastore/memory/memory-datastore.ts";
import { ConsoleService } from "../../gen/n0stack/provisioning/v1alpha1/console_pb.ts";
import type { Listener } from "../../rpc/listen.ts";
import { listen } from "../../rpc/listen.ts";
import type { PeerTransport } from "../../rpc/transport.ts";
import { openTransport } from "../../rpc/transport.ts";
import { systemClock } from "../../util/clock.ts";
import { openLog, silentLog } from "../../util/log.ts";
import { systemRandom } from "../../util/random.ts";
import { consoleRoutes } from "./console-service.ts";
import { downloadHandler } from "./download.ts";
import { novncHandler } from "./novnc.ts";
import type { TestAgent } from "./testing.ts";
import { startTestAgent, VOLUME_BYTES } from "./testing.ts";
import type { Link } from "./tokens/token-record.ts";
import { openConsoleTokens } from "./tokens/tokens.ts";
import { consoleUrl, downloadUrl } from "./urls.ts";
import { vncSocketHandler } from "./vnc-socket.ts";

const tokens = await openConsoleTokens({
  datastore: memoryDatastore(),
  clock: systemClock,
  random: systemRandom,
});
/** What the log says of consoles and downloads. */
const lines: Record<string, unknown>[] = [];
let agent: TestAgent;
let api: Listener;
let transport: PeerTransport;
/** Of the token with which links are asked for. */
let revoked = new AbortController();

beforeAll(async () => {
  agent = await startTestAgent();
  const { findConsole, findVolume } = agent;
  const log = openLog({ write: (line) => lines.push(JSON.parse(line)) });
  const right = ({ caller }: Link) =>
    caller?.principal === "user/gone"
      ? undefined
      : { ended: revoked.signal, [Symbol.dispose]: () => {} };
  const deps = { tokens, log, findConsole, findVolume, consoleRight: right, downloadRight: right };
  api = await listen({
    host: "127.0.0.1",
    port: 0,
    log: silentLog,
    token: "a-token-of-16-characters",
    routes: (router) => consoleRoutes(router, findConsole, log),
    httpHandlers: [await novncHandler(), downloadHandler(deps)],
    upgradeHandlers: [vncSocketHandler(deps)],
  });
  const token = { value: "a-token-of-16-characters", ownerUid: 0 };
  transport = openTransport(api.url, 1, { token });
});

afterAll(async () => {
  transport.close();
  await api.stop(0);
  await agent[Symbol.asyncDispose]();
});

const issue = (name: string, id = `uuid-of-${name}@1`) =>
  tokens.issue("vnc", { ref: vmRef(name), id }, "");
const issueDownload = (name: string, id = "disk-1") =>
  tokens.issue("download", { ref: blockStorageRef(name), id }, "192.0.2.1");

async function openScreen(name: string, token: string | Promise<string> = issue(name)) {
  const path = `/n0core/api/v0/virtual_machines/${name}/vncwebsocket?token=${await token}`;
  const socket = new WebSocket(api.url.replace("http", "ws") + path, ["binary"]);
  const got: string[] = [];
  socket.on("message", (data) => got.push(String(data)));
  return { socket, got };
}

/** The status that an upgrade was refused with. */
async function refusal(
  name: string,
  token?: string | Promise<string>,
): Promise<number | undefined> {
  const { socket } = await openScreen(name, token);
  return await new Promise((resolve) => {
    socket.on("error", () => {});
    socket.on("unexpected-response", (request, response) => {
      resolve(response.statusCode);
      request.destroy();
    });
  });
}

describe("the screen", () => {
  test("is joined with the agent's stream, as noVNC asks for it", async () => {
    const { socket, got } = await openScreen("web");
    await expect.poll(() => got).toEqual(["web"]);
    expect(socket.protocol).toBe("binary");
    socket.send("RFB 003.008\n");
    await expect.poll(() => got).toEqual(["web", "RFB 003.008\n"]);
    expect(agent.openStreams()).toBe(1);
    socket.close();
    await expect.poll(() => agent.openStreams()).toBe(0);
  });

  test("carries much, in order", async () => {
    const { socket, got } = await openScreen("web");
    await expect.poll(() => got).toEqual(["web"]);
    const blocks = Array.from({ length: 64 }, (_, i) =>
      String.fromCharCode(65 + (i % 26)).repeat(65536),
    );
    for (const block of blocks) socket.send(block);
    const expected = `web${blocks.join("")}`;
    await expect.poll(() => got.join("").length).toBe(expected.length);
    expect(got.join("") === expected).toBe(true);
    socket.terminate();
    await expect.poll(() => agent.openStreams()).toBe(0);
  });

  test("a token opens it once", async () => {
    const token = await issue("web");
    const { socket, got } = await openScreen("web", token);
    await expect.poll(() => got).toEqual(["web"]);
    expect(await refusal("web", token)).toBe(403);
    socket.close();
  });

  test("ends with the token of the one who asked for the link, and is refused after that", async () => {
    const { socket, got } = await openScreen("web");
    await expect.poll(() => got).toEqual(["web"]);
    const closed = once(socket, "close");
    revoked.abort();
    const [code, reason] = await closed;
    expect([code, String(reason)]).toEqual([
      1008,
      "the token or the role with which this console was opened has ended",
    ]);
    await expect.poll(() => agent.openStreams()).toBe(0);
    revoked = new AbortController();
    const linked = { ref: vmRef("web"), id: "uuid-of-web@1" };
    const gone = { principal: "user/gone", groups: [] };
    expect(await refusal("web", tokens.issue("vnc", linked, "", gone))).toBe(403);
    const disk = { ref: blockStorageRef("disk"), id: "disk-1" };
    const token = await tokens.issue("download", disk, "", gone);
    expect((await fetch(downloadUrl(api.url, disk.ref, token))).status).toBe(403);
  });

  test("is refused where the name is another virtual machine's by now", async () => {
    expect(await refusal("web", issue("web", "uuid-of-web@0"))).toBe(403);
  });

  test("is logged when it is opened and closed: who, from where, how much", async () => {
    await expect.poll(() => lines.length % 2).toBe(0);
    lines.length = 0;
    const { socket, got } = await openScreen("web");
    await expect.poll(() => got).toEqual(["web"]);
    socket.send("RFB 003.008\n");
    await expect.poll(() => got).toHaveLength(2);
    socket.close();
    await expect.poll(() => lines).toHaveLength(2);
    const visit = {
      name: "web",
      uuid: "uuid-of-web",
      node: "n1",
      console: "vnc",
      peer: "127.0.0.1",
      requestId: expect.stringMatching(/./),
      linkAsker: "",
    };
    expect(lines).toMatchObject([
      { message: "a console was opened", ...visit },
      { message: "a console was closed", ...visit, toClientBytes: 15, fromClientBytes: 12 },
    ]);
    expect(lines[1]).toMatchObject({
      requestId: lines[0]!["requestId"],
      durationMs: expect.any(Number),
    });
  });

  test("is refused without a token, with another's, and where there is none", async () => {
    expect(await refusal("web", "")).toBe(403);
    expect(await refusal("web", issue("other"))).toBe(403);
    expect(await refusal("other")).toBe(404);
    expect(await refusal("a%2fb", "x")).toBe(404);
  });

  test("says why the agent refused", async () => {
    const { socket } = await openScreen("broken");
    const closed = await new Promise((resolve) =>
      socket.on("close", (code, reason) => resolve([code, String(reason)])),
    );
    expect(closed).toEqual([1011, 'node "n1": the domain is shut off']);
  });
});

describe("the page", () => {
  const fetchStatic = (path: string) => fetch(`${api.url}/n0core/static/virtual_machines/${path}`);

  test("opens without the server's token, and finds its modules", async () => {
    const page = await fetch(consoleUrl(api.url, vmRef("web"), "tok"));
    expect(page.status).toBe(200);
    expect(page.headers.get("content-type")).toBe("text/html; charset=utf-8");
    expect(page.headers.get("content-security-policy")).toContain("script-src 'self'");
    for (const path of ["vnc.js", "vnc.css", "core/rfb.js", "core/util/logging.js"]) {
      expect((await fetchStatic(path)).status).toBe(200);
    }
    // As a browser asks for a module, also of the same origin.
    const headers = { origin: "http://cloud.example" };
    expect(
      (await fetch(`${api.url}/n0core/static/virtual_machines/vnc.js`, { headers })).status,
    ).toBe(200);
    expect(await (await fetchStatic("core/rfb.js")).text()).toContain("class RFB");
  });

  test.each([
    "",
    "core",
    "core/",
    "../api/v0",
    "core/../../package.json",
    "core/%2e%2e/package.json",
    "%2e%2e/package.json",
    "package.json",
    "/etc/passwd",
    "LICENSE.txt",
    "core/rfb.js/",
    "..%2f..%2fpackage.json",
    "core%00.js",
  ])("serves nothing else: %j", async (path) => {
    expect((await fetchStatic(path)).status).toBe(404);
  });
});

describe("a download", () => {
  const link = async () =>
    downloadUrl(api.url, blockStorageRef("disk"), await issueDownload("disk"));
  const bytesOf = async (response: Response) => new Uint8Array(await response.arrayBuffer());

  test("is the whole file", async () => {
    const response = await fetch(await link());
    expect(response.status).toBe(200);
    expect(response.headers.get("content-length")).toBe("1000");
    expect(response.headers.get("content-disposition")).toBe('attachment; filename="disk.qcow2"');
    expect(await bytesOf(response)).toEqual(VOLUME_BYTES);
  });

  test("is logged: who, from where, which bytes", async () => {
    lines.length = 0;
    await bytesOf(
      await fetch(await link(), { headers: { range: "bytes=400-", "x-request-id": "r-1" } }),
    );
    await expect.poll(() => lines).toHaveLength(2);
    const visit = { name: "disk", volumeId: "disk-1", requestId: "r-1", peer: "127.0.0.1" };
    const range = { linkAsker: "192.0.2.1", firstByte: "400", lengthBytes: "600" };
    expect(lines).toMatchObject([
      { message: "a download was begun", ...visit, ...range },
      { message: "a download has ended", ...visit, ...range, toClientBytes: 600 },
    ]);
  });

  test("goes on where it stopped, by the same link", async () => {
    const url = await link();
    const etag = (await fetch(url, { method: "HEAD" })).headers.get("etag") ?? "";
    const range = await fetch(url, { headers: { range: "bytes=400-", "if-range": etag } });
    expect([range.status, range.headers.get("content-range")]).toEqual([206, "bytes 400-999/1000"]);
    expect(await bytesOf(range)).toEqual(VOLUME_BYTES.subarray(400));
    const tail = await fetch(url, { headers: { range: "bytes=-10" } });
    expect(await bytesOf(tail)).toEqual(VOLUME_BYTES.subarray(990));
    const changed = await fetch(url, { headers: { range: "bytes=400-", "if-range": '"old"' } });
    expect([changed.status, (await bytesOf(changed)).length]).toEqual([200, 1000]);
    const beyond = await fetch(url, { headers: { range: "bytes=1000-" } });
    expect([beyond.status, beyond.headers.get("content-range")]).toEqual([416, "bytes */1000"]);
  });

  test("goes on only where the bytes are the same", async () => {
    const url = await link();
    const get = async (headers: Record<string, string>, method = "GET") => {
      const response = await fetch(url, { headers, method });
      return { status: response.status, length: (await bytesOf(response)).length, response };
    };
    const etag = (await get({})).response.headers.get("etag") ?? "";
    expect(etag).toBe('"v1"');
    expect(await get({ range: "bytes=400-", "if-match": etag })).toMatchObject({ status: 206 });
    onTestFinished(() => void (agent.validator = "v1"));
    agent.validator = "v2";
    const since = { range: "bytes=400-", "if-range": etag };
    expect(await get(since)).toMatchObject({ status: 200, length: 1000 });
    const matching = await get({ range: "bytes=400-", "if-match": etag });
    expect(matching).toMatchObject({ status: 412, length: 0 });
    expect(matching.response.headers.get("etag")).toBe('"v2"');
    expect(await get({ "if-none-match": '"v2"' })).toMatchObject({ status: 304, length: 0 });
    expect(await get({ "if-range": `W/"v2"`, range: "bytes=1-" })).toMatchObject({ status: 200 });
    const head = await fetch(url, { method: "HEAD", headers: { range: "bytes=1-" } });
    expect([head.status, head.headers.get("content-length")]).toEqual([200, "1000"]);
  });

  const changeAt = (reading: number, message: number) => {
    agent.validator = "v1";
    const first = agent.readings;
    agent.beforeMessage = (...at) => {
      if (at[0] === first + reading && at[1] === message) agent.validator = "v2";
    };
    onTestFinished(() => {
      agent.validator = "v1";
      agent.beforeMessage = () => {};
    });
  };

  test("says so where the disk changes before the first byte", async () => {
    // The first reading describes the volume, the second one is sent.
    changeAt(2, 1);
    const response = await fetch(await link());
    expect([response.status, response.headers.get("retry-after")]).toEqual([503, "1"]);
    expect(await response.text()).toBe('block storage "disk" has just changed; ask again\n');
  });

  test.each([2, 4])(
    "breaks where the disk changes at message %i, and never mixes two",
    async (at) => {
      changeAt(2, at);
      const whole = link()
        .then((url) => fetch(url))
        .then((response) => response.arrayBuffer());
      await expect(whole).rejects.toThrow();
    },
  );

  test("is refused where the name is another disk's by now", async () => {
    const old = downloadUrl(
      api.url,
      blockStorageRef("disk"),
      await issueDownload("disk", "disk-0"),
    );
    expect((await fetch(old)).status).toBe(403);
  });

  test("is refused where the agent does not say what it sends", async () => {
    onTestFinished(() => void (agent.validator = "v1"));
    agent.validator = "";
    const response = await fetch(await link());
    expect(response.status).toBe(409);
    expect(await response.text()).toContain('node "n1": its agent is older than this API');
  });

  test("is refused without a token, for another name, and in another way", async () => {
    const other = downloadUrl(api.url, blockStorageRef("disk"), await issueDownload("other"));
    expect((await fetch(other)).status).toBe(403);
    const missing = downloadUrl(api.url, blockStorageRef("none"), await issueDownload("none"));
    expect((await fetch(missing)).status).toBe(404);
    expect((await fetch(await link(), { method: "POST" })).status).toBe(405);
  });
});

describe("the RPCs", () => {
  const client = () => createClient(ConsoleService, transport);
  const text = async (messages: AsyncIterable<{ readonly data: Uint8Array }>) => {
    let all = "";
    for await (const { data } of messages) all += Buffer.from(data).toString();
    return all;
  };
  async function* sending<T>(...messages: T[]) {
    yield* messages;
  }
  const data = (s: string) => Buffer.from(s);

  test("read the serial log", async () => {
    const messages = client().readSerialLog({ virtualMachineName: "web", follow: true });
    expect(await text(messages)).toBe("web true");
  });

  test("attach to the serial console", async () => {
    const requests = sending({ virtualMachineName: "web" }, { data: data("ls\n") });
    expect(await text(client().attachSerial(requests))).toBe("webls\n");
  });

  test("forward to an address of the guest, the first one by default", async () => {
    const requests = sending({ virtualMachineName: "web", port: 22 }, { data: data("SSH") });
    expect(await text(client().forward(requests))).toBe("net 10.0.0.1 22 SSH");
  });

  test("are logged: who, from where, how much", async () => {
    lines.length = 0;
    const requests = sending({ virtualMachineName: "web" }, { data: data("ls\n") });
    await text(client().attachSerial(requests, { headers: { "x-request-id": "r-2" } }));
    await text(client().readSerialLog({ virtualMachineName: "web", follow: true }));
    await text(client().forward(sending({ virtualMachineName: "web", port: 22 })));
    const visit = { name: "web", uuid: "uuid-of-web", peer: "127.0.0.1", node: "n1" };
    const logged = { ...visit, requestId: expect.stringMatching(/./) };
    expect(lines).toMatchObject([
      { ...visit, console: "serial", requestId: "r-2" },
      { ...visit, console: "serial", requestId: "r-2", toClientBytes: 6, fromClientBytes: 3 },
      { ...logged, console: "serial log" },
      { ...logged, console: "serial log", toClientBytes: 8 },
      { ...logged, console: "forward to 10.0.0.1 port 22" },
      { ...logged, console: "forward to 10.0.0.1 port 22", toClientBytes: 16 },
    ]);
  });

  test("forward nowhere else", async () => {
    const first = { virtualMachineName: "web", port: 22, address: "10.0.0.2" };
    await expect(text(client().forward(sending(first)))).rejects.toThrow(
      '[invalid_argument] address: virtual machine "web" does not have it; it has 10.0.0.1',
    );
    const noAddress = { virtualMachineName: "broken", port: 22 };
    await expect(text(client().forward(sending(noAddress)))).rejects.toThrow("has no address");
  });

  test("say what is missing in the first message, and what is not there", async () => {
    await expect(text(client().attachSerial(sending()))).rejects.toThrow("[invalid_argument]");
    await expect(text(client().attachSerial(sending({})))).rejects.toThrow("virtual_machine_name");
    await expect(text(client().forward(sending({ virtualMachineName: "web" })))).rejects.toThrow(
      "port",
    );
    const none = client().attachSerial(sending({ virtualMachineName: "none" }));
    await expect(text(none)).rejects.toThrow('[not_found] virtual machine "none" does not exist');
  });
});
