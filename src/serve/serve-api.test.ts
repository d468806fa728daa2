import { mkdtempSync, rmSync, statSync } from "node:fs";
import { request as httpRequest } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient } from "@connectrpc/connect";
import { afterAll, describe, expect, test } from "vitest";
import { NetworkService } from "../gen/n0stack/pool/v0/network_pb.ts";
import { ConsoleService } from "../gen/n0stack/provisioning/v1alpha1/console_pb.ts";
import { readTokenFile } from "../rpc/token-auth.ts";
import { openTransport } from "../rpc/transport.ts";
import { silentLog } from "../util/log.ts";
import { loadSettings } from "./config.ts";
import { serveApi } from "./serve-api.ts";

const folder = mkdtempSync(join(tmpdir(), "n0-serve-"));
afterAll(() => rmSync(folder, { recursive: true }));

const settings = loadSettings("api", {
  flags: { baseDirectory: folder, bindPort: "0" },
  environment: {},
});

test("an API serves, has its folder alone, and what it made is there after a restart", async () => {
  const first = await serveApi(settings, silentLog);
  const token = readTokenFile(join(folder, "token"));
  const transport = openTransport(first.url, 1, { token });
  const networks = createClient(NetworkService, transport);
  await networks.applyNetwork({ name: "net", ipv4Cidr: "10.0.0.0/24" });
  await expect(serveApi(settings, silentLog)).rejects.toThrow("another n0core api (process");
  for (const name of ["api.lock", "token", "api/n0core.sqlite"]) {
    expect(statSync(join(folder, name)).mode & 0o777, name).toBe(0o600);
  }

  const read = createClient(ConsoleService, transport).readSerialLog({ virtualMachineName: "web" });
  await expect(read[Symbol.asyncIterator]().next()).rejects.toThrow(
    '[not_found] virtual machine "web" does not exist',
  );
  const version = (await fetch(first.url)).headers.get("n0-version");
  expect(version).toMatch(/^\d+\.\d+/);
  const page = await fetch(`${first.url}/n0core/static/virtual_machines/vnc.html`);
  expect(page.status).toBe(200);
  transport.close();
  const stranger = openTransport(first.url, 1);
  const asked = createClient(NetworkService, stranger).getNetwork({ name: "net" });
  await expect(asked).rejects.toThrow("[unauthenticated] this server asks for a token");
  stranger.close();
  await first.stop(1000);

  const second = await serveApi(settings, silentLog);
  const again = openTransport(second.url, 1, { token });
  const network = await createClient(NetworkService, again).getNetwork({ name: "net" });
  expect(network.ipv4Cidr).toBe("10.0.0.0/24");
  again.close();
  await second.stop(1000);
});

describe("who may call without a token", () => {
  const publicUrl = "https://cloud.example";
  const corsOrigins = ["http://localhost:5173"];

  function statusOf(url: string, headers: Readonly<Record<string, string>>) {
    return new Promise<number | undefined>((resolve, reject) => {
      const target = `${url}/grpc.health.v1.Health/Check`;
      const request = httpRequest(target, { method: "POST", headers }, (response) => {
        resolve(response.resume().statusCode);
      });
      request.on("error", reject).end("{}");
    });
  }

  test("pages of its own and of the listed origins, by its own names", async () => {
    const api = await serveApi({ ...settings, publicUrl, corsOrigins, insecure: true }, silentLog);
    const { port } = new URL(api.url);
    const json = { "content-type": "application/json" };
    const origins = [publicUrl, `http://localhost:${port}`, api.url, "http://localhost:5173"];
    for (const origin of origins) expect(await statusOf(api.url, { ...json, origin })).toBe(200);
    const others = ["http://localhost:9999", "http://127.0.0.1", `https://localhost:${port}`];
    for (const origin of others) expect(await statusOf(api.url, { ...json, origin })).toBe(403);
    for (const host of ["cloud.example", `localhost:${port}`]) {
      expect(await statusOf(api.url, { ...json, host })).toBe(200);
    }
    expect(await statusOf(api.url, { ...json, host: "evil.example" })).toBe(421);
    await api.stop(1000);
  });
});
