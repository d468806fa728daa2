import { readFile } from "node:fs/promises";
import type { Interceptor } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { defined } from "../src/util/defined.ts";
import { PROJECT_HEADER } from "../src/util/project.ts";
import { connectToTrusted } from "../src/util/trusted-socket.ts";
import type { Connection } from "./connection.ts";
import { CliError } from "./errors.ts";
import { ownersOfFound } from "./found-token.ts";
import type { OpenTransport } from "./io.ts";
import { clientVersion } from "./version.ts";

/** Detects a connection that died silently, such as behind a NAT, during a long call. */
const PING_INTERVAL_MS = 20_000;

/** gRPC over one HTTP/2 connection, which also carries streams in both directions. Connects on first use. */
export async function openGrpcTransport(connection: Connection): Promise<OpenTransport> {
  const { baseUrl, tokenFile, tokenOrigin, tlsCa, project } = connection;
  const ca = tlsCa === undefined ? undefined : await readSetting(tlsCa, "--tls-ca");
  const token = tokenFile === undefined ? undefined : await readSetting(tokenFile, "--token-file");
  const isGuarded =
    tokenFile !== undefined && tokenOrigin === "found" && baseUrl.startsWith("http:");
  const sessionManager = new Http2SessionManager(
    baseUrl,
    { pingIntervalMs: PING_INTERVAL_MS },
    {
      ...defined({ ca }),
      ...(isGuarded
        ? { createConnection: connectToTrusted(await ownersOfFound(tokenFile, baseUrl)) }
        : {}),
    },
  );
  const interceptors = [
    withHeader("user-agent", `n0cli/${clientVersion()}`),
    ...(project === undefined ? [] : [withHeader(PROJECT_HEADER, project)]),
    ...(token === undefined ? [] : [withHeader("authorization", `Bearer ${token.trim()}`)]),
  ];
  return {
    transport: createGrpcTransport({ baseUrl, sessionManager, interceptors }),
    close: () => sessionManager.abort(),
  };
}

function withHeader(name: string, value: string): Interceptor {
  return (next) => (request) => {
    request.header.set(name, value);
    return next(request);
  };
}

async function readSetting(path: string, flag: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (reason) {
    throw new CliError(`${flag}: cannot read ${path}`, undefined, reason);
  }
}
