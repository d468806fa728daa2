import { once } from "node:events";
import { createServer } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { type Duplex, pipeline } from "node:stream";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { WebProxies } from "../../../util/web-proxies.ts";
import { get } from "./get.ts";
import { LOCAL_SOURCES, newSourceAddresses, type SourceAddresses } from "./source-addresses.ts";

const base = () => ({
  proxies: { exceptions: [] },
  timeoutMs: 20_000,
  signal: AbortSignal.timeout(20_000),
});

/** Connections, also those on which nothing is asked. */
let heard = 0;
const server = createServer((_, response) => response.end("secret"));
server.on("connection", () => (heard += 1));
let port = 0;
beforeEach(() => {
  heard = 0;
});

beforeAll(async () => {
  await once(server.listen(0, "127.0.0.1"), "listening");
  port = (server.address() as AddressInfo).port;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

test.each([
  "127.0.0.1",
  "127.1",
  "0x7f000001",
  "2130706433",
  "0",
  "[::1]",
  "[::ffff:127.0.0.1]",
  "localhost",
])("nothing is read from %s, however it is written", async (host) => {
  const options = { ...base(), sources: newSourceAddresses([]) };
  await expect(get(new URL(`http://${host}:${port}/`), options)).rejects.toMatchObject({
    kind: "failed_precondition",
    message: expect.stringContaining("--allowed-sources"),
  });
  expect(heard).toBe(0);
});

test.each(["127.0.0.1", "localhost"])(
  "nothing is read from %s where it is the node's own",
  async (host) => {
    // As if the loopback were an ordinary network: what is open but for the node's own addresses.
    const sources: SourceAddresses = {
      whyClosed: async (address) =>
        address === "127.0.0.1" ? "an address of the node" : undefined,
    };
    const asked = get(new URL(`http://${host}:${port}/`), { ...base(), sources });
    // The server listens on that address alone, so no other of the name answers.
    await expect(asked).rejects.toThrow(/an address of the node|ECONNREFUSED/);
    expect(heard).toBe(0);
  },
);

test.each(["127.0.0.1", "localhost"])("%s is asked where that is allowed", async (host) => {
  const options = { ...base(), sources: newSourceAddresses(LOCAL_SOURCES) };
  const response = await get(new URL(`http://${host}:${port}/`), options);
  expect(Buffer.concat(await response.toArray()).toString()).toBe("secret");
  expect(heard).toBe(1);
});

describe("through a proxy", () => {
  interface Proxied {
    readonly proxies: WebProxies;
    /** What the proxy was asked for. */
    readonly asked: string[];
  }

  /** A proxy that answers by itself instead of an `http:` host, and connects to `port` for any `https:` one. */
  async function withProxy(run: (proxied: Proxied) => Promise<void>, { refuses = false } = {}) {
    const asked: string[] = [];
    const proxy = createServer((request, response) => {
      asked.push(
        `${request.method} ${request.url} ${request.headers["proxy-authorization"] ?? ""}`,
      );
      response.end("by proxy");
    });
    proxy.on("connect", (request, socket: Duplex) => {
      asked.push(`CONNECT ${request.url}`);
      // The client may hang up at any time.
      socket.on("error", () => socket.destroy());
      if (refuses) return void socket.end("HTTP/1.1 403 Forbidden\r\n\r\n");
      const inner = connect(port, "127.0.0.1", () => {
        socket.write("HTTP/1.1 200 OK\r\n\r\n");
        pipeline(socket, inner, socket, () => {});
      });
      inner.on("error", () => socket.destroy());
    });
    await once(proxy.listen(0, "127.0.0.1"), "listening");
    const url = new URL(`http://ann:pass@127.0.0.1:${(proxy.address() as AddressInfo).port}`);
    try {
      await run({
        asked,
        proxies: { http: url, https: url, exceptions: ["direct.test", "127.0.0.2"] },
      });
    } finally {
      proxy.closeAllConnections();
      await once(proxy.close(), "close");
    }
  }

  const body = async (url: string, proxies: WebProxies, isLocalAllowed = false) => {
    const sources = newSourceAddresses(isLocalAllowed ? LOCAL_SOURCES : []);
    const response = await get(new URL(url), { ...base(), proxies, sources });
    return Buffer.concat(await response.toArray()).toString();
  };

  test("an http: URL is asked for whole, and its name is the proxy's to resolve", async () => {
    await withProxy(async ({ proxies, asked }) => {
      expect(await body("http://images.test/disk?a=b", proxies)).toBe("by proxy");
      const credentials = Buffer.from("ann:pass").toString("base64");
      expect(asked).toEqual([`GET http://images.test/disk?a=b Basic ${credentials}`]);
    });
  });

  test("loopback is asked for only where that is allowed", async () => {
    await withProxy(async ({ proxies, asked }) => {
      for (const host of ["127.0.0.1", "localhost", "a.localhost", "[::1]"]) {
        await expect(body(`http://${host}:${port}/`, proxies)).rejects.toThrow(/--allowed-sources/);
      }
      expect(asked).toEqual([]);
      expect(await body(`http://127.0.0.1:${port}/`, proxies, true)).toBe("by proxy");
    });
  });

  test("what NO_PROXY names is asked directly", async () => {
    await withProxy(async ({ proxies, asked }) => {
      const exceptions = [...proxies.exceptions, "127.0.0.0/8"];
      const url = `http://127.0.0.1:${port}/`;
      expect(await body(url, { ...proxies, exceptions }, true)).toBe("secret");
      expect(asked).toEqual([]);
    });
  });

  test("an https: URL goes through a tunnel, in which TLS is spoken with the host", async () => {
    await withProxy(async ({ proxies, asked }) => {
      // The host at the other end speaks no TLS, which only the tunnel lets us learn.
      const asking = body("https://images.test/disk", proxies);
      await expect(asking).rejects.toMatchObject({
        code: expect.stringMatching(/^ERR_SSL_|EPROTO/),
      });
      expect(asked).toEqual(["CONNECT images.test:443"]);
    });
  });

  test("a tunnel that the proxy refuses is told with its status", async () => {
    await withProxy(
      async ({ proxies }) => {
        const asking = body("https://images.test/disk", proxies);
        await expect(asking).rejects.toMatchObject({ code: "ERR_PROXY_TUNNEL", statusCode: 403 });
      },
      { refuses: true },
    );
  });
});
