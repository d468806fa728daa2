import { connect as connectHttp2 } from "node:http2";
import { connect as connectSocket } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { newProject, tenantBinding } from "./projects.ts";
import { ADMINISTRATORS_TOKEN, type ServedWorld, serveWorld } from "./served-world.ts";
import { newWorld, type World } from "./world.ts";

const TOKEN = "the-token-of-the-tenant";
const LIST = "/n0stack.pool.v0.NetworkService/ListNetworks";
const AUTHORIZED = `authorization: Bearer ${TOKEN}`;

/** Lets a client repeat any header. Node's types do not know it. */
const LOOSE: object = { strictSingleValueFields: false };

let world: World;
let served: ServedWorld;
beforeAll(async () => {
  world = await newWorld({ nodeCount: 0, inMemory: true });
  await world.opened.api.datastore.batch(newProject("mine"));
  await world.opened.api.datastore.batch(newProject("theirs"));
  await world.opened.api.datastore.batch(tenantBinding("user/mallory", "mine"));
  await world.seen();
  const caller = { principal: "user/mallory", groups: [], project: "mine" };
  served = await serveWorld(world, new Map([[TOKEN, caller]]));
});
afterAll(async () => {
  await served[Symbol.asyncDispose]();
  await world[Symbol.asyncDispose]();
});

interface Answer {
  readonly status: number;
  readonly body: string;
}

/** A call of HTTP/1.1 with these header lines, byte for byte. */
async function overHttp1(lines: readonly string[], path = LIST): Promise<Answer> {
  const head = [
    `POST ${path} HTTP/1.1`,
    "host: localhost",
    "content-type: application/json",
    "connection: close",
    ...lines,
    ...(lines.some((line) => /^(content-length|transfer-encoding)/.test(line))
      ? []
      : ["content-length: 2"]),
  ];
  const text = await new Promise<string>((resolve) => {
    let got = "";
    const socket = connectSocket(served.port, "127.0.0.1", () =>
      socket.write(`${head.join("\r\n")}\r\n\r\n{}`, "latin1"),
    );
    socket.on("data", (data) => {
      got += data.toString("latin1");
    });
    socket.on("error", () => {});
    socket.on("close", () => resolve(got));
  });
  const [, status = "0"] = /^HTTP\/1\.1 (\d+)/.exec(text) ?? [];
  return { status: Number(status), body: text.slice(text.indexOf("\r\n\r\n") + 4) };
}

/** The same over HTTP/2. */
async function overHttp2(headers: readonly string[]): Promise<Answer> {
  const session = connectHttp2(served.url, LOOSE);
  session.on("error", () => {});
  try {
    return await new Promise<Answer>((resolve) => {
      const raw = [":method", "POST", ":path", LIST, ":scheme", "http"];
      raw.push(":authority", "localhost", "content-type", "application/json", ...headers);
      const stream = session.request(raw);
      const answer = { status: 0, body: "" };
      stream.on("response", (got) => {
        answer.status = Number(got[":status"]);
      });
      stream.on("data", (data: Buffer) => {
        answer.body += data.toString();
      });
      stream.on("error", () => {});
      stream.on("close", () => resolve(answer));
      stream.end("{}");
    });
  } finally {
    session.destroy();
  }
}

const project = (text: string) => overHttp1([AUTHORIZED, `n0-project: ${text}`]);

describe("the header n0-project", () => {
  test("is right as it should be, in any case of its name", async () => {
    for (const name of ["n0-project", "N0-Project", "N0-PROJECT"]) {
      expect(await overHttp1([AUTHORIZED, `${name}: mine`])).toMatchObject({ status: 200 });
    }
    expect(await overHttp1([AUTHORIZED])).toMatchObject({ status: 200 });
    expect(
      await overHttp2(["authorization", `Bearer ${TOKEN}`, "n0-project", "mine"]),
    ).toMatchObject({ status: 200 });
  });

  test.each(["theirs", "Mine", "MINE", "nowhere", "default"])("%s does not exist", async (name) => {
    const { status, body } = await project(name);
    expect([status, JSON.parse(body)]).toMatchObject([
      404,
      { code: "not_found", message: `project "${name}" does not exist` },
    ]);
  });

  test.each([
    "",
    "mine/theirs",
    "..",
    "../theirs",
    "mine%2ftheirs",
    "%00",
    "mine.theirs",
    "mine~theirs",
    "mine,theirs",
    "mine theirs",
    "project/theirs",
    "*",
    "m\u00efne",
    "x".repeat(64),
    "x".repeat(10_000),
  ])("%j is no name", async (name) => {
    const { status, body } = await project(name);
    expect([status, JSON.parse(body)]).toMatchObject([400, { code: "invalid_argument" }]);
    expect(body.length).toBeLessThan(2_000);
  });

  test.each(["mi\0ne", "mine\0"])("%j is refused", async (name) => {
    expect((await project(name)).status).toBe(400);
  });

  test("given twice is refused, whichever comes first", async () => {
    for (const names of [
      ["mine", "theirs"],
      ["theirs", "mine"],
      ["mine", "mine"],
    ]) {
      const twice = names.map((name) => `n0-project: ${name}`);
      expect((await overHttp1([AUTHORIZED, ...twice])).status).toBe(400);
      const raw = names.flatMap((name) => ["n0-project", name]);
      expect((await overHttp2(["authorization", `Bearer ${TOKEN}`, ...raw])).status).toBe(400);
    }
  });

  test("is no other header, and not in the path", async () => {
    const others = ["n0_project: theirs", "x-n0-project: theirs", "project: theirs"];
    expect((await overHttp1([AUTHORIZED, ...others])).body).toBe("{}");
    expect((await overHttp1([AUTHORIZED], `${LIST}?n0-project=theirs`)).body).toBe("{}");
  });
});

/** After many wrong ones, an address must wait. */
function expectUnauthenticated({ status }: Answer): void {
  expect([401, 429]).toContain(status);
}

describe("a token", () => {
  test("in a URL is refused, whoever it belongs to, also beside the right header", async () => {
    const own = await overHttp1([AUTHORIZED], `${LIST}?access_token=${TOKEN}`);
    expect(own.status).toBe(401);
    expect(own.body).toContain("a token in its URL, and URLs end up in logs");
    expect(own.body).toContain("revoke that token");
    for (const token of [TOKEN, ADMINISTRATORS_TOKEN]) {
      for (const name of ["token", "access_token", "authorization"]) {
        expectUnauthenticated(await overHttp1([], `${LIST}?${name}=${token}`));
      }
    }
  });

  test.each([
    `authorization: ${TOKEN}`,
    `authorization: Basic ${Buffer.from(`x:${TOKEN}`).toString("base64")}`,
    `authorization: Bearer ${TOKEN.toUpperCase()}`,
    `authorization: Bearer ${TOKEN}, Bearer ${TOKEN}`,
    `authorization: Bearer ${TOKEN} ${TOKEN}`,
    `authorization: Bearer ${TOKEN.slice(0, -1)}`,
    "authorization: Bearer",
    "authorization:",
    `proxy-authorization: Bearer ${TOKEN}`,
    `cookie: authorization=Bearer ${TOKEN}`,
    `x-authorization: Bearer ${TOKEN}`,
    "authorization: Bearer __proto__",
    "authorization: Bearer constructor",
  ])("is not %j", async (line) => {
    expectUnauthenticated(await overHttp1([line]));
  });

  test("beside another one is refused: a proxy may have looked at the other", async () => {
    const [mine, admin] = [TOKEN, ADMINISTRATORS_TOKEN].map((token) => `Bearer ${token}`);
    for (const pair of [
      [mine, admin],
      [admin, mine],
      [mine, mine],
      [mine, "Bearer wrong"],
    ]) {
      const lines = pair.map((value) => `authorization: ${value}`);
      expectUnauthenticated(await overHttp1(lines));
      const raw = pair.flatMap((value) => ["authorization", value!]);
      expectUnauthenticated(await overHttp2(raw));
    }
  });

  test("is needed whatever a request says of its sender", async () => {
    const lines = ["n0-principal: administrator", "x-forwarded-user: root", "caller: system"];
    expectUnauthenticated(await overHttp1(lines));
    const { status } = await overHttp1([AUTHORIZED, ...lines, "n0-project: theirs"]);
    expect(status).toBe(404);
  });
});

test("a request with two lengths is refused, and what follows it is not another request", async () => {
  for (const lines of [
    ["content-length: 2", "transfer-encoding: chunked"],
    ["content-length: 2", "content-length: 3"],
    ["transfer-encoding: chunked, identity"],
    ["content-length: +2"],
  ]) {
    const { status, body } = await overHttp1([AUTHORIZED, ...lines]);
    expect(status, lines.join()).toBe(400);
    expect(body).not.toContain("HTTP/1.1");
  }
});
