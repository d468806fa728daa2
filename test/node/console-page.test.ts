import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { createClient } from "@connectrpc/connect";
import { type Browser, chromium } from "playwright-core";
import { afterAll, expect, test } from "vitest";
import { downloadHandler } from "../../src/api/console/download.ts";
import { novncHandler } from "../../src/api/console/novnc.ts";
import { openConsoleTokens } from "../../src/api/console/tokens/tokens.ts";
import { consoleUrl } from "../../src/api/console/urls.ts";
import { vncSocketHandler } from "../../src/api/console/vnc-socket.ts";
import { memoryDatastore } from "../../src/datastore/memory/memory-datastore.ts";
import { ComputeAgentService } from "../../src/gen/n0stack/agent/v1alpha1/compute_pb.ts";
import { NetworkAgentService } from "../../src/gen/n0stack/agent/v1alpha1/network_pb.ts";
import { listen } from "../../src/rpc/listen.ts";
import { openTransport } from "../../src/rpc/transport.ts";
import { systemClock } from "../../src/util/clock.ts";
import { N0Error } from "../../src/util/errors.ts";
import { silentLog } from "../../src/util/log.ts";
import { systemRandom } from "../../src/util/random.ts";
import { newQuietNetwork } from "../e2e/quiet-network.ts";
import { vmRef } from "../refs.ts";
import { requirement } from "./requirements.ts";
import { rfbServer } from "./rfb-server.ts";

/** A browser on a busy machine takes its time. */
const START_TIMEOUT_MS = 60_000;
const PAGE_TIMEOUT_MS = 30_000;
const opened = new AsyncDisposableStack();
afterAll(() => opened.disposeAsync());

/** An agent whose one virtual machine shows an orange screen. */
async function startAgent(typed: number[]) {
  const agent = await listen({
    host: "127.0.0.1",
    port: 0,
    log: silentLog,
    routes: ({ service }) =>
      service(ComputeAgentService, {
        openVnc: (requests) => rfbServer(requests, [255, 128, 0], (key) => typed.push(key)),
      }),
  });
  opened.defer(() => agent.stop(0));
  const transport = openTransport(agent.url, 1);
  opened.defer(() => transport.close());
  return async () => ({
    uuid: "u1",
    incarnation: "u1@1",
    nodeName: "n1",
    compute: createClient(ComputeAgentService, transport),
    network: createClient(NetworkAgentService, transport),
    addresses: [],
  });
}

/** A browser that reaches this server and nothing else. */
async function launchBrowser(url: string): Promise<Browser> {
  const folder = mkdtempSync(join(tmpdir(), "n0-page-"));
  opened.defer(() => rmSync(folder, { recursive: true }));
  const quiet = opened.use(await newQuietNetwork(basename(folder), folder, [url]));
  const args = ["--no-sandbox"];
  const options = { executablePath: quiet.chromium, args, timeout: START_TIMEOUT_MS };
  const browser = await chromium.launch(options);
  opened.defer(() => browser.close());
  return browser;
}

test.runIf(requirement("chromium") && requirement("netns"))(
  "the console page shows the screen, types on it, and opens it only once",
  async () => {
    const typed: number[] = [];
    const tokens = await openConsoleTokens({
      datastore: memoryDatastore(),
      clock: systemClock,
      random: systemRandom,
    });
    const findVolume = () => Promise.reject(new N0Error("not_found", "there are no disks here"));
    const findConsole = await startAgent(typed);
    const right = () => ({ ended: new AbortController().signal, [Symbol.dispose]: () => {} });
    const rights = { consoleRight: right, downloadRight: right };
    const deps = { tokens, log: silentLog, findConsole, findVolume, ...rights };
    const api = await listen({
      host: "127.0.0.1",
      port: 0,
      log: silentLog,
      routes: () => {},
      httpHandlers: [await novncHandler(), downloadHandler(deps)],
      upgradeHandlers: [vncSocketHandler(deps)],
    });
    opened.defer(() => api.stop(0));

    const browser = await launchBrowser(api.url);
    const page = await browser.newPage();
    const complaints: string[] = [];
    page.on("console", (message) => {
      if (message.type() === "error") complaints.push(message.text());
    });
    page.on("pageerror", (error) => complaints.push(error.message));

    const url = consoleUrl(
      api.url,
      vmRef("web"),
      await tokens.issue("vnc", { ref: vmRef("web"), id: "u1@1" }, ""),
    );
    await page.goto(url);
    await page.getByText("Connected", { exact: true }).waitFor({ timeout: PAGE_TIMEOUT_MS });
    expect(await page.title()).toContain("web");
    expect(page.url()).not.toContain("token");

    // The one screen is the canvas of noVNC; its pixels are those that the server painted.
    await expect
      .poll(() => page.evaluate(pixelOfCanvas), { timeout: PAGE_TIMEOUT_MS })
      .toEqual([255, 128, 0]);
    await page.keyboard.press("a");
    await expect.poll(() => typed, { timeout: PAGE_TIMEOUT_MS }).toContain("a".charCodeAt(0));
    expect(complaints).toEqual([]);

    const second = await browser.newPage();
    await second.goto(url);
    await second.getByText("could not be made").waitFor({ timeout: PAGE_TIMEOUT_MS });
  },
);

/** Runs in the page, whose types are not known here. */
const pixelOfCanvas = `(() => {
  const canvas = document.querySelector("canvas");
  return [...canvas.getContext("2d").getImageData(5, 5, 1, 1).data.slice(0, 3)];
})()`;
