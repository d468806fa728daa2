// Another user of the machine listens where a server of ours was to be: he is not sent a token.
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:http2";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";
import { createClient } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { serverUid } from "../../cli/sign-in/listener.ts";
import { openGrpcTransport } from "../../cli/transport.ts";
import { NodeService } from "../../src/gen/n0stack/pool/v0/node_pb.ts";
import { fromConnectError } from "../../src/rpc/errors.ts";
import { openTransport } from "../../src/rpc/transport.ts";
import { connectToTrusted } from "../../src/util/trusted-socket.ts";
import { requirement } from "./requirements.ts";

/** Of Debian's `nobody`. */
const STRANGER = 65534;
/** Prints its port, then all that it is sent. It ends with the test, however that ends. */
const LISTENER = `
process.stdin.on("end", () => process.exit()).resume();
const server = require("node:net").createServer((socket) => {
  socket.on("error", () => {}).on("data", (data) => console.log("sent", data.toString("latin1")));
});
server.listen(0, "127.0.0.1", () => console.log("port", server.address().port));
`;

describe.runIf(requirement("root"))("a listener of another user on loopback", () => {
  let child: ChildProcess;
  let folder: string;
  let tokenFile: string;
  let port = 0;
  const sent: string[] = [];

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "n0-stranger-"));
    tokenFile = join(folder, "token");
    writeFileSync(tokenFile, "found-token-of-24-chars\n", { mode: 0o600 });
    child = spawn(process.execPath, ["-e", LISTENER], {
      cwd: "/",
      uid: STRANGER,
      gid: STRANGER,
      stdio: ["pipe", "pipe", "inherit"],
    });
    const lines = createInterface({ input: child.stdout! });
    port = await new Promise<number>((resolve) => {
      lines.on("line", (line) => {
        if (line.startsWith("port ")) resolve(Number(line.slice(5)));
        else sent.push(line);
      });
    });
  });
  afterAll(() => {
    child.kill();
    rmSync(folder, { recursive: true });
  });

  test("is sent nothing by a server of ours", async () => {
    const transport = openTransport(`127.0.0.1:${port}`, 1, {
      token: { value: "a-token-of-16-characters", ownerUid: 0 },
    });
    const call = createClient(NodeService, transport).listNodes({}, { timeoutMs: 5_000 });
    const error = fromConnectError(await call.catch((reason: unknown) => reason));
    transport.close();
    expect(error.kind).toBe("unavailable");
    expect(error.message).toContain(`user ${STRANGER} listens on port ${port}`);
    expect(sent).toEqual([]);
  });

  test("is sent no token that n0cli found, and it says who listens", async () => {
    const found = { baseUrl: `http://127.0.0.1:${port}`, tokenFile, tokenOrigin: "found" } as const;
    await expect(openGrpcTransport(found)).rejects.toThrow(
      new RegExp(
        `does not send the token in .*: user ${STRANGER} listens on port ${port}.*--token-file`,
      ),
    );
    expect(sent).toEqual([]);
  });

  test("is sent no sign-in, unless he served the API at the sign-in", async () => {
    const baseUrl = `http://127.0.0.1:${port}`;
    const signIn = join(folder, "sign-in");
    const stored = { token_endpoint: "https://id.example/token", id_token: "a.b.c" };
    const times = { stored_ms: Date.parse("2020-01-01"), lifetime_ms: 1e15 };
    writeFileSync(signIn, JSON.stringify({ ...stored, ...times }));
    await expect(openGrpcTransport({ baseUrl, signIn })).rejects.toThrow(
      new RegExp(`another user \\(${STRANGER}\\) listens there than at the sign-in`),
    );
    expect(sent).toEqual([]);
    writeFileSync(signIn, JSON.stringify({ ...stored, ...times, server_uid: STRANGER }));
    (await openGrpcTransport({ baseUrl, signIn })).close();
    expect(serverUid(baseUrl)).toBe(STRANGER);
  });

  test("is sent nothing by a connection that was there before anybody looked", async () => {
    const session = connect(`http://127.0.0.1:${port}`, { createConnection: connectToTrusted([]) });
    session
      .request({ ":path": "/", authorization: "Bearer a-token-of-16-characters" })
      .on("error", () => {});
    const reason = await new Promise<Error>((resolve) => session.on("error", resolve));
    expect(reason.message).toContain(`user ${STRANGER} listens`);
    expect(sent).toEqual([]);
  });

  test("is sent a token that is his own", async () => {
    const session = connect(`http://127.0.0.1:${port}`, {
      createConnection: connectToTrusted([STRANGER]),
    });
    session.on("error", () => {});
    session.request({ ":path": "/" }).on("error", () => {});
    await expect.poll(() => sent.length, { timeout: 10_000 }).toBeGreaterThan(0);
    session.destroy();
  });
});
