import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import type { LinkCaller } from "../src/api/core/console-links.ts";
import { blockStorages } from "../src/api/provisioning/block-storage/collection.ts";
import { virtualMachines } from "../src/api/provisioning/virtual-machine/collection.ts";
import { incarnationOf } from "../src/api/provisioning/virtual-machine/record.ts";
import { ComputeAgentService } from "../src/gen/n0stack/agent/v1alpha1/compute_pb.ts";
import { NetworkService } from "../src/gen/n0stack/pool/v0/network_pb.ts";
import { AGENT_PORT_DEFAULT, openTransport } from "../src/rpc/transport.ts";
import { tenantBinding } from "./projects.ts";
import { allRoutes, exampleOf, methodsOf, send } from "./served.ts";
import { serveFakeNode } from "./served-node.ts";
import { ADMINISTRATORS_TOKEN, type ServedWorld, serveWorld } from "./served-world.ts";
import { stringFieldsOf } from "./string-fields.ts";
import { TRANSPORTS } from "./transports.ts";
import { FIRST, NAMES, prepareFirst, prepareSecond, SECOND, type Texts } from "./two-tenants.ts";
import { hurried, newWorld, type World } from "./world.ts";

const TOKEN = "the-token-of-the-second-tenant";
const WEB = { kind: virtualMachines.kind, scope: FIRST, name: NAMES.virtualMachine };
const DISK = { kind: blockStorages.kind, scope: FIRST, name: NAMES.base };

let world: World;
let served: ServedWorld;
let texts: Texts;
beforeAll(async () => {
  world = await newWorld({ inMemory: true, clock: hurried });
  texts = await prepareFirst(world);
  await prepareSecond(world);
  await world.opened.api.datastore.batch(tenantBinding("user/mallory", SECOND));
  await world.opened.api.datastore.batch(tenantBinding("user/zoe", FIRST));
  await world.seen();
  const caller = { principal: "user/mallory", groups: [], project: SECOND };
  served = await serveWorld(world, new Map([[TOKEN, caller]]));
});
afterAll(async () => {
  await served[Symbol.asyncDispose]();
  await world[Symbol.asyncDispose]();
});

/** What changes nothing, so that each protocol meets the same. */
const READING = /^(Get|List|Read|Download|OpenConsole|AttachSerial|Forward)/;

describe("a second tenant", () => {
  test.each(TRANSPORTS)("over %s reads nothing of the first one's", async (_, make) => {
    const transport = make(served.url);
    const headers = { authorization: `Bearer ${TOKEN}` };
    const methods = methodsOf(allRoutes(world.opened)).filter(
      ({ name, methodKind }) => READING.test(name) && methodKind !== "bidi_streaming",
    );
    expect(methods.length).toBeGreaterThan(10);
    const own = createClient(NetworkService, transport).getNetwork({ name: "a" }, { headers });
    expect((await own).ipv4Cidr).toBe("10.20.0.0/24");
    for (const method of methods) {
      for (const { path, put } of stringFieldsOf(method.input)) {
        for (const text of [
          NAMES.virtualMachine,
          NAMES.disk,
          texts.qualified,
          texts.stuckTransaction,
        ]) {
          for (const project of [SECOND, FIRST]) {
            const request = put(exampleOf(method), text);
            const told = await toldBy(
              send(transport, method, request, { headers: { ...headers, "n0-project": project } }),
            );
            for (const other of Object.values(texts)) {
              const isSent = other.includes(text) || text.includes(other) || other === project;
              if (!isSent) expect(told, `${method.name} ${path}`).not.toContain(other);
            }
          }
        }
      }
    }
  });

  test("cannot open the first one's screen by its name, nor by a link to his own", async () => {
    const { api } = world.opened;
    const { value: vm } = (await api.records.find(virtualMachines, WEB))!;
    const link = new URL(await served.links.consoleUrl(WEB, await incarnationOf(api, vm), ""));
    const path = link.searchParams.get("path")!;
    const token = new URLSearchParams(link.hash.slice(1)).get("token")!;
    const own = path.replace(`${FIRST}~`, `${SECOND}~`).replace(`${FIRST}%7E`, `${SECOND}%7E`);
    expect(own).not.toBe(path);
    const plain = path.replace(/zorvex(~|%7E)/i, "");
    for (const refusedPath of [own, plain]) {
      expect(await screen(`${refusedPath}?token=${token}`)).toBe(403);
    }
    for (const wrong of ["", TOKEN, ADMINISTRATORS_TOKEN, `${token}x`]) {
      expect(await screen(`${path}?token=${wrong}`)).toBe(403);
    }
    expect(await screen(`${path}?token=${token}`)).toBe("RFB");
    expect(await screen(`${path}?token=${token}`)).toBe(403);
  });

  test("cannot download the first one's disk by its name, nor by a link to another", async () => {
    const { value } = (await world.opened.api.records.find(blockStorages, DISK))!;
    const link = new URL(await served.links.downloadUrl(DISK, value.volumeId, ""));
    const statusOf = async (url: URL) => {
      const answer = await fetch(url, { headers: { authorization: `Bearer ${TOKEN}` } });
      await answer.body?.cancel();
      return answer.status;
    };
    for (const name of [
      NAMES.base,
      `${SECOND}~${NAMES.base}`,
      `${FIRST}~${NAMES.disk}`,
      `${SECOND}~a`,
    ]) {
      const other = new URL(link);
      other.pathname = other.pathname.replace(/[^/]*$/, name);
      expect(await statusOf(other), name).toBe(403);
    }
    for (const wrong of ["", TOKEN, ADMINISTRATORS_TOKEN]) {
      const other = new URL(link);
      other.searchParams.set("token", wrong);
      expect(await statusOf(other)).toBe(403);
    }
    expect(await statusOf(link)).toBe(200);
  });

  test("a link is worth what its asker may do when it is followed", async () => {
    const { value } = (await world.opened.api.records.find(blockStorages, DISK))!;
    const asked = async (caller: LinkCaller) => {
      const link = await served.links.downloadUrl(DISK, value.volumeId, "", caller);
      const answer = await fetch(link);
      await answer.body?.cancel();
      return answer.status;
    };
    const owner = { principal: "user/zoe", groups: [] };
    expect(await asked(owner)).toBe(200);
    expect(await asked({ ...owner, limit: { roles: ["viewer"] } })).toBe(403);
    expect(await asked({ ...owner, limit: { project: SECOND } })).toBe(403);
    expect(await asked({ ...owner, tokenId: "0123456789abcdef" })).toBe(403);
    expect(await asked({ principal: "user/nobody-here", groups: [] })).toBe(403);
  });

  test("has no token for an agent, and neither has the administrator", async () => {
    await using node = await serveFakeNode("node-9", "a-secret-of-the-operators");
    for (const value of [TOKEN, ADMINISTRATORS_TOKEN, "a-secret-of-the-operators"]) {
      const transport = openTransport(node.url, AGENT_PORT_DEFAULT, {
        token: { value, ownerUid: process.getuid!() },
      });
      const asked = createClient(ComputeAgentService, transport).getDomain({ name: "web" });
      await expect(asked).rejects.toMatchObject({ code: Code.Unauthenticated });
      transport.close();
    }
  });
});

/** All that he learns from a call, as one text. */
async function toldBy(call: Promise<readonly unknown[]>): Promise<string> {
  const answer = await call.catch((reason: unknown) => {
    const { rawMessage, metadata } = ConnectError.from(reason);
    return [rawMessage, [...metadata]];
  });
  return JSON.stringify(answer, (key, part) => {
    if (key === "desc") return undefined;
    return typeof part === "bigint" ? String(part) : part;
  });
}

/** The first letters of a screen, or the status with which it was refused. */
async function screen(path: string): Promise<string | number | undefined> {
  const socket = new WebSocket(`${served.url.replace("http", "ws")}/${path}`, ["binary"]);
  try {
    return await new Promise((resolve) => {
      socket.on("message", (data) => resolve(String(data).slice(0, 3)));
      socket.on("unexpected-response", (_, response) => resolve(response.statusCode));
      socket.on("error", () => {});
    });
  } finally {
    socket.terminate();
  }
}
