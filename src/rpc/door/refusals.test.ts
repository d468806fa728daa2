// Who is turned away at the door is told so, logged, counted, and held up, whatever he tries.
import { Code, createClient } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { CHECK, GET_NODE, rawHttp2, serveDoor, TOKEN } from "../../../test/door-server.ts";
import { newFakeClock } from "../../../test/fake-clock.ts";
import { TRANSPORTS } from "../../../test/transports.ts";
import { RetryInfoSchema } from "../../gen/google/rpc/error_details_pb.ts";
import { NodeService } from "../../gen/n0stack/pool/v0/node_pb.ts";
import { originRule } from "../cors.ts";
import { answerText } from "../http.ts";
import { networkOf, newTokenTries } from "./token-tries.ts";

const QUERY = `?${String(new URLSearchParams({ connect: "v1", encoding: "json", message: "{}" }))}`;
const LIST_NODES = `/n0stack.pool.v0.NodeService/ListNodes${QUERY}`;
const RIGHT = { authorization: `Bearer ${TOKEN}` };
const WRONG = { authorization: `Bearer ${TOKEN}x` };

describe("is logged", () => {
  test("without a token, or with a wrong one, and never with what was sent as one", async () => {
    const httpHandlers = [
      {
        pathPrefix: "/plain",
        handle: (_: unknown, to: Parameters<typeof answerText>[0]) => answerText(to, 200, ""),
      },
    ];
    const { url, lines } = await serveDoor({ token: TOKEN, httpHandlers });
    await fetch(url + LIST_NODES);
    await fetch(url + LIST_NODES, { headers: WRONG });
    await fetch(`${url}/plain`, { headers: WRONG });
    const peer = "127.0.0.1";
    expect(lines).toMatchObject([
      { level: "warn", why: "no token", peer, total: 1 },
      { level: "warn", why: "wrong token", peer, total: 1 },
      { level: "warn", why: "wrong token", path: "/plain", total: 2 },
    ]);
    expect(JSON.stringify(lines)).not.toContain(TOKEN);
  });

  test("under a foreign host, from a foreign origin, read by a foreign page", async () => {
    const { url, lines } = await serveDoor();
    const { session } = rawHttp2(url);
    const foreign = session.request({ ":path": LIST_NODES, ":authority": "evil.example" });
    foreign.resume();
    await new Promise((resolve) => foreign.on("close", resolve));
    const origin = `https://${"e".repeat(5000)}.example`;
    await fetch(url + GET_NODE, { method: "POST", headers: { origin } });
    await fetch(url + LIST_NODES, { headers: { "sec-fetch-site": "cross-site" } });
    expect(lines).toMatchObject([
      { why: "host", host: "evil.example" },
      { why: "origin", origin: `${origin.slice(0, 100)}…` },
      { why: "cross-site" },
    ]);
  });

  test("and whoever asks for the health fills no log, whatever he asks", async () => {
    const { url, lines } = await serveDoor({ token: TOKEN });
    const { post } = rawHttp2(url);
    for (const [method, service] of [
      ["Check", ""],
      ["Check", "none"],
      ["List", ""],
    ]) {
      const call = post(`/grpc.health.v1.Health/${method}`, "application/json");
      call.end(JSON.stringify(service === "" ? {} : { service }));
      await call.answer;
    }
    expect(lines.map(({ level, code }) => [level, code])).toEqual([
      ["debug", "ok"],
      ["debug", "not_found"],
      ["debug", "ok"],
    ]);
  });

  test("in ten lines a second, and one that counts the others", async () => {
    const { url, lines } = await serveDoor({ token: TOKEN });
    for (let i = 0; i < 50; i++) await fetch(url + LIST_NODES);
    await expect
      .poll(() => lines.at(-1))
      .toMatchObject({
        message: "more were refused at the door",
        totals: { "no token": 50 },
      });
    const told = lines.filter(({ message }) => message === "refused at the door").length;
    const counts = lines.map(({ count }) => Number(count ?? 0)).reduce((a, b) => a + b);
    expect(told + counts).toBe(50);
    expect(lines.length).toBeLessThan(25);
  });
});

describe.each(TRANSPORTS)("%s", (_, makeTransport) => {
  test("who fails too often is told to wait; the right token passes from the same address", async () => {
    const { url } = await serveDoor({ token: TOKEN });
    const client = createClient(NodeService, makeTransport(url));
    for (let i = 0; i < 20; i++) {
      await expect(client.getNode({ name: "a" }, { headers: WRONG })).rejects.toMatchObject({
        code: Code.Unauthenticated,
      });
    }
    const refused = await client.getNode({ name: "a" }, { headers: WRONG }).catch((e) => e);
    expect(refused).toMatchObject({ code: Code.ResourceExhausted });
    expect(refused.findDetails(RetryInfoSchema)[0]?.retryDelay?.seconds).toBeGreaterThan(50n);
    expect((await client.getNode({ name: "a" }, { headers: RIGHT })).name).toBe("a");
  });
});

test("over plain HTTP it is 429 with the time to wait", async () => {
  const { url } = await serveDoor({ token: TOKEN });
  for (let i = 0; i < 20; i++) expect((await fetch(url + LIST_NODES)).status).toBe(401);
  const response = await fetch(url + LIST_NODES);
  expect(response.status).toBe(429);
  expect(Number(response.headers.get("retry-after"))).toBeGreaterThan(50);
  expect((await fetch(url + CHECK + QUERY, { method: "POST" })).status).not.toBe(429);
});

describe("tries", () => {
  test("are forgotten after a minute, and of the oldest address when there are too many", () => {
    const clock = newFakeClock();
    const tries = newTokenTries(clock);
    for (let i = 0; i < 20; i++) expect(tries.failed("10.0.0.1")).toBe(0);
    expect(tries.failed("10.0.0.1")).toBe(60_000);
    expect(tries.failed("10.0.0.2")).toBe(0);
    for (let i = 0; i < 5000; i++) tries.failed(`10.1.${i >> 8}.${i & 255}`);
    expect(tries.failed("10.0.0.1")).toBe(0);
  });

  test("are those of a host: all of its /64 in IPv6, and IPv4 however it is written", () => {
    expect(networkOf("::ffff:10.0.0.1")).toBe("10.0.0.1");
    expect(networkOf("2001:db8:1:2:3:4:5:6")).toBe(networkOf("2001:db8:1:2::9"));
    expect(networkOf("2001:db8::1")).not.toBe(networkOf("2001:db8:0:1::1"));
    expect(networkOf("fe80::1%eth0")).toBe(networkOf("fe80::2"));
    expect(networkOf("::1")).toBe("0:0:0:0::/64");
  });
});

describe("a read by GET", () => {
  const status = async (headers: Record<string, string>) => {
    const { url } = await serveDoor({ isOriginAllowed: originRule(["https://ours.example"]) });
    return (await fetch(url + LIST_NODES, { headers })).status;
  };

  test.each(["cross-site", "same-site"])("by a page that is %s is refused", async (site) => {
    expect(await status({ "sec-fetch-site": site })).toBe(403);
  });

  test.each([
    {},
    { "sec-fetch-site": "none" },
    { "sec-fetch-site": "same-origin" },
    { "sec-fetch-site": "cross-site", origin: "https://ours.example" },
  ])("with %o is answered", async (headers) => {
    expect(await status(headers as Record<string, string>)).toBe(200);
  });

  test("of a page that authenticates by itself may come from a link elsewhere", async () => {
    const handle = (_: unknown, response: Parameters<typeof answerText>[0]) =>
      answerText(response, 200, "");
    const httpHandlers = [{ pathPrefix: "/own", authentication: "own" as const, handle }];
    const { url } = await serveDoor({ httpHandlers });
    const headers = { "sec-fetch-site": "cross-site" };
    expect((await fetch(`${url}/own`, { headers })).status).toBe(200);
  });
});
