import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { build } from "esbuild";
import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import WebSocket from "ws";
import { readTokenFile } from "../../src/rpc/token-auth.ts";
import { until } from "../../src/util/until.ts";
import { requirement } from "../node/requirements.ts";
import { EXAMPLE_VM, example } from "./example.ts";
import { newPlace, type Place } from "./place.ts";
import { must, PROJECT } from "./program.ts";
import { newQuietNetwork } from "./quiet-network.ts";
import { type Cli, newCli, nodeFlags, type Server, startServer, untilReady } from "./server.ts";

const isPossible =
  requirement("root") && requirement("libvirt") && requirement("netns") && requirement("chromium");
const SCREEN_TIMEOUT_MS = 60_000;
const PAGE_TIMEOUT_MS = 60_000;
const START_TIMEOUT_MS = 90_000;

describe.runIf(isPossible)("a browser on a standalone server", () => {
  const opened = new AsyncDisposableStack();
  let place: Place;
  let server: Server;
  let cli: Cli;
  let browser: Browser;
  let webUrl: string;

  beforeAll(async () => {
    place = opened.use(await newPlace());
    webUrl = opened.use(await servePage()).url;
    server = await startServer(place, {
      role: "standalone",
      flags: ["--name", "node-1", "--cors-origins", webUrl, ...nodeFlags(place)],
    });
    opened.defer(async () => void (await server.stop()));
    cli = newCli(server, place);
    await untilReady(cli, 1);
    const folder = join(place.baseDirectory, "test");
    const quiet = await newQuietNetwork(`${place.prefix}browser`, folder, [server.url, webUrl]);
    browser = await launchBrowser(opened.use(quiet).chromium);
    opened.defer(() => browser.close());
    const { code, stderr } = await cli.do(await example("boot-vm", place.baseDirectory));
    expect(`${code}\n${stderr}`).toMatch(/^0\n/);
    opened.defer(async () => void (await cli.do(await example("delete-vm", place.baseDirectory))));
  });
  afterAll(() => opened.disposeAsync());

  async function newPage(): Promise<Page> {
    return await browser.newPage();
  }

  async function consoleUrl(): Promise<string> {
    return (await cli.must("vm", "console", EXAMPLE_VM)).trim();
  }

  test("a page of another origin lists the nodes with connect-web", async () => {
    const page = await newPage();
    const { value: token } = readTokenFile(server.tokenFile);
    await page.goto(`${webUrl}/?api=${encodeURIComponent(server.url)}#${token}`);
    await page.getByText("node-1 READY").waitFor({ timeout: PAGE_TIMEOUT_MS });
    expect(new URL(page.url()).origin).not.toBe(new URL(server.url).origin);
  });

  test("a page from elsewhere is not let in", async () => {
    const answer = await fetch(`${server.url}/n0stack.pool.v0.NodeService/ListNodes`, {
      method: "POST",
      headers: { origin: "https://attacker.example", "content-type": "application/json" },
      body: "{}",
    });
    expect(answer.status).toBe(403);
  });

  test("the console link shows the guest's screen", async () => {
    const page = await newPage();
    await page.goto(await consoleUrl());
    await page.getByText("Connected", { exact: true }).waitFor({ timeout: PAGE_TIMEOUT_MS });
    expect(await page.title()).toContain(EXAMPLE_VM);
    // The text console of a guest that has booted: letters, so lit pixels and many dark ones.
    await until(
      async () => {
        const { lit, all } = await pixels(page);
        return lit > 100 && lit < all / 2;
      },
      { what: "the screen shows text", timeoutMs: SCREEN_TIMEOUT_MS },
    );
    expect(page.url()).not.toContain("token");
  });

  test("each console link opens the screen once", async () => {
    const url = new URL(await consoleUrl());
    const socket = socketUrl(url);
    expect(await knock(socket)).toBe("open");
    expect(await knock(socket)).toBe("403");
    const wrong = new URL(socket);
    wrong.searchParams.set("token", "A".repeat(43));
    expect(await knock(wrong)).toBe("403");
    wrong.searchParams.delete("token");
    expect(await knock(wrong)).toBe("403");
    // A used one is told so on the page as well.
    const page = await newPage();
    await page.goto(url.href);
    await page.getByText(/Open a new console/).waitFor({ timeout: PAGE_TIMEOUT_MS });
  });

  test("a link to one machine does not open another", async () => {
    const socket = socketUrl(new URL(await consoleUrl()));
    const other = new URL(socket.href.replace(EXAMPLE_VM, "other-vm"));
    expect(await knock(other)).toBe("403");
  });

  test("nothing listens for VNC but a socket in the machine's folder", async () => {
    const listening = (await must("ss", ["-Hltnp"])).split("\n");
    expect(listening.filter((line) => line.includes("qemu"))).toEqual([]);
    const own = listening.filter((line) => line.includes(`pid=${server.pid},`));
    expect(own.map((line) => line.trim().split(/\s+/)[3])).toEqual([new URL(server.url).host]);
    const sockets = await must("ss", ["-Hlx"]);
    expect(sockets).toContain(join(place.baseDirectory, "vm", EXAMPLE_VM, "qemu/vnc"));
  });
});

async function launchBrowser(program: string): Promise<Browser> {
  return await chromium.launch({
    executablePath: program,
    timeout: START_TIMEOUT_MS,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}

/** A page that somebody might write, bundled and served from an origin of its own. */
async function servePage(): Promise<AsyncDisposable & { readonly url: string }> {
  const bundle = await build({
    entryPoints: [join(PROJECT, "test/e2e/page/nodes.ts")],
    bundle: true,
    format: "esm",
    target: "es2022",
    write: false,
  });
  const script = bundle.outputFiles[0]?.text ?? "";
  const server = createServer((request, response) => {
    const isScript = request.url === "/nodes.js";
    response.setHeader("content-type", isScript ? "text/javascript" : "text/html");
    const html = `<!doctype html><ul></ul><script type="module" src="/nodes.js"></script>`;
    response.end(isScript ? script : html);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://localhost:${port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function pixels(page: Page): Promise<{ readonly lit: number; readonly all: number }> {
  // In the page's own words: it runs there.
  return await page.evaluate(`(() => {
    const canvas = document.querySelector("canvas");
    const { width, height } = canvas;
    const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
    let lit = 0;
    for (let i = 0; i < data.length; i += 4) if (data[i] + data[i + 1] + data[i + 2] > 300) lit += 1;
    return { lit, all: width * height };
  })()`);
}

/** Where the page of a console link connects to. */
function socketUrl(link: URL): URL {
  const url = new URL(`/${link.searchParams.get("path")}`, link);
  url.protocol = "ws:";
  url.searchParams.set("token", new URLSearchParams(link.hash.slice(1)).get("token") ?? "");
  return url;
}

/** `open`, or the HTTP status of the refusal. */
async function knock(url: URL): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const socket = new WebSocket(url, ["binary"]);
  socket.on("open", () => resolve("open"));
  socket.on("unexpected-response", (_, response) => resolve(String(response.statusCode)));
  socket.on("error", reject);
  const answer = await promise;
  socket.on("error", () => {}).terminate();
  return answer;
}
