import { readFile } from "node:fs/promises";
import type { Interceptor } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { systemClock } from "../src/util/clock.ts";
import { defined } from "../src/util/defined.ts";
import { Http2Sessions } from "../src/util/http2-sessions.ts";
import { PROJECT_HEADER } from "../src/util/project.ts";
import { systemRandom } from "../src/util/random.ts";
import { connectToTrusted } from "../src/util/trusted-socket.ts";
import type { Connection } from "./connection.ts";
import { CliError } from "./errors.ts";
import { ownersOfFound } from "./found-token.ts";
import type { Io, OpenTransport } from "./io.ts";
import { clientVersion } from "./version.ts";

/** Detects a connection that died silently, such as behind a NAT, during a long call. */
const PING_INTERVAL_MS = 20_000;

/** gRPC over one HTTP/2 connection, which also carries streams in both directions. Connects on first use. */
export async function openGrpcTransport(
  connection: Connection,
  outside: Pick<Io, "clock" | "random"> = { clock: systemClock, random: systemRandom },
): Promise<OpenTransport> {
  const { baseUrl, tokenFile, tokenOrigin, tlsCa, project, signIn } = connection;
  const ca = tlsCa === undefined ? undefined : await readSetting(tlsCa, "--tls-ca");
  const token = tokenFile === undefined ? undefined : await readSetting(tokenFile, "--token-file");
  const isFound = tokenFile !== undefined && tokenOrigin === "found";
  const trusted =
    signIn !== undefined
      ? await trustedForSignIn(signIn, baseUrl)
      : isFound && baseUrl.startsWith("http:")
        ? await ownersOfFound(tokenFile, baseUrl)
        : undefined;
  const sessionManager = new Http2Sessions(
    baseUrl,
    { pingIntervalMs: PING_INTERVAL_MS },
    {
      ...defined({ ca }),
      ...(trusted === undefined ? {} : { createConnection: connectToTrusted(trusted) }),
    },
  );
  const interceptors = [
    withHeader("user-agent", `n0cli/${clientVersion()}`),
    ...(project === undefined ? [] : [withHeader(PROJECT_HEADER, project)]),
    ...(token === undefined ? [] : [withHeader("authorization", `Bearer ${token.trim()}`)]),
    ...(signIn === undefined ? [] : [await withSignedIn(signIn, outside)]),
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

async function trustedForSignIn(path: string, baseUrl: string) {
  const { readSignIn } = await import("./sign-in/stored.ts");
  const { trustedServers } = await import("./sign-in/listener.ts");
  return trustedServers(baseUrl, (await readSignIn(path))?.server_uid);
}

/**
 * The token of each call is the current one, also in a command that takes hours.
 *
 * @throws CliError if one must sign in again.
 */
async function withSignedIn(
  path: string,
  outside: Pick<Io, "clock" | "random">,
): Promise<Interceptor> {
  const { tokenSource } = await import("./sign-in/current-token.ts");
  const currentToken = tokenSource(path, outside);
  await currentToken();
  return (next) => async (request) => {
    request.header.set("authorization", `Bearer ${await currentToken()}`);
    return await next(request);
  };
}

async function readSetting(path: string, flag: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (reason) {
    throw new CliError(`${flag}: cannot read ${path}`, undefined, reason);
  }
}
