import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type IncomingHttpHeaders } from "node:http2";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Code, ConnectError } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Connection } from "./connection.ts";
import { explainFailure } from "./failure.ts";
import { withFoundToken } from "./found-token.ts";
import { run } from "./program.ts";
import { newTestIo } from "./testing/test-io.ts";
import { openGrpcTransport } from "./transport.ts";

let folder = "";
let ownTokenFile = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "n0cli-found-"));
  ownTokenFile = join(folder, "token");
  await writeFile(ownTokenFile, "found-token-of-24-chars\n", { mode: 0o600 });
});
afterAll(() => rm(folder, { recursive: true }));

/** Runs `get vm`, and answers what was sent where. */
async function asked(flags: readonly string[], own = ownTokenFile) {
  const seen: IncomingHttpHeaders[] = [];
  const server = createServer().on("stream", (stream, headers) => {
    seen.push(headers);
    stream.respond({
      ":status": 200,
      "content-type": "application/grpc+proto",
      "grpc-status": "16",
    });
    stream.end();
  });
  await new Promise<void>((resolve) => server.listen(0, "0.0.0.0", resolve));
  const { port } = server.address() as AddressInfo;
  const t = newTestIo({ ownTokenFile: own, homeFolder: folder });
  const io = { ...t.io, openTransport: openGrpcTransport };
  const argv = flags.map((flag) => flag.replace("PORT", String(port)));
  const exitCode = await run([...argv, "--no-wait", "get", "vm"], io);
  server.close();
  return { exitCode, sent: seen.map((headers) => headers.authorization), stderr: t.stderr() };
}

describe("the token of this machine's own n0core", () => {
  test.each(["127.0.0.1:PORT", "localhost:PORT", "http://127.0.0.1:PORT"])(
    "is sent to %s, where no other was named",
    async (endpoint) => {
      const { sent, stderr } = await asked(["--api-endpoint", endpoint]);
      expect(sent).toEqual(["Bearer found-token-of-24-chars"]);
      expect(stderr).toContain(
        `${ownTokenFile} holds a token that this server does not know. Name a file`,
      );
    },
  );

  test("goes behind one that was named, and is sent nowhere beyond loopback", async () => {
    const named = join(folder, "named");
    await writeFile(named, "named-token\n");
    const flags = ["--api-endpoint", "127.0.0.1:PORT", "--token-file", named];
    expect((await asked(flags)).sent).toEqual(["Bearer named-token"]);
    // Linux takes it for this machine, and no rule for loopback does.
    expect((await asked(["--api-endpoint", "0.0.0.0:PORT"])).sent).toEqual([undefined]);
  });

  test("is not there: none is sent, and the hint says where a server keeps it", async () => {
    const { sent, stderr } = await asked(["--api-endpoint", "127.0.0.1:PORT"], "/nowhere/token");
    expect(sent).toEqual([undefined]);
    expect(stderr).toContain("--token-file or N0CLI_TOKEN_FILE");
    expect(stderr).toContain(
      "keeps its token in its base directory, by default in /var/lib/n0core/token",
    );
  });

  test("is another user's: the hint says whose", () => {
    const asked = { baseUrl: "http://127.0.0.1:20180", tokenOrigin: "unreadable" } as const;
    const { lines } = explainFailure(new ConnectError("no", Code.Unauthenticated), asked);
    expect(lines[1]).toContain("only its owner can read it: run this as that user");
  });

  test("is looked for on loopback only", async () => {
    const look = async (baseUrl: string): Promise<Connection> =>
      await withFoundToken({ ownTokenFile }, { baseUrl });
    expect((await look("https://localhost:1")).tokenFile).toBe(ownTokenFile);
    expect((await look("https://cloud.example:1")).tokenFile).toBeUndefined();
  });
});

test("a token is not sent over http: beyond loopback, and nothing else is", async () => {
  const named = join(folder, "named");
  await writeFile(named, "named-token\n");
  await chmod(named, 0o600);
  const { exitCode, sent, stderr } = await asked([
    ...["--api-endpoint", "0.0.0.0:PORT", "--token-file", named],
  ]);
  expect([exitCode, sent]).toEqual([2, []]);
  expect(stderr).toMatch(
    /^n0cli does not send the token in \S+ to http:\/\/0\.0\.0\.0:\d+, because/,
  );
  expect(stderr).toContain("use an https:// endpoint, or a tunnel");
});
