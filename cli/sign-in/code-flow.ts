import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { abortAfter, onAbort } from "../../src/util/race.ts";
import type { CliContext } from "../context.ts";
import { CliError } from "../errors.ts";
import { EXIT } from "../exit-code.ts";
import type { OidcSignIn } from "./stored.ts";
import type { Client } from "./tokens.ts";
import { oauthError, post, signInOf, unusable } from "./tokens.ts";

const WAIT_MAX_MS = 10 * 60_000;
const PATH = "/callback";

export interface CodeFlowOptions {
  /** The port on loopback; 0 for any. Some providers know only one. */
  readonly port: number;
  /** Called with the address that the person must open. */
  open(url: string): void;
}

/**
 * Signs in by the authorization code flow with PKCE. The provider sends the browser back to a port of this
 * computer.
 *
 * @throws CliError if the person or the provider refuses, or nobody signs in within 10 minutes.
 */
export async function signInByCode(
  cli: CliContext,
  client: Client,
  { port, open }: CodeFlowOptions,
): Promise<OidcSignIn> {
  const { random, clock } = cli.io;
  const { authorizationUrl, issuer, clientId, scope } = client;
  if (authorizationUrl === undefined) throw unusable(issuer, "has no sign-in page: use --device");
  const [state, nonce, verifier] = [random.token(24), random.token(24), random.token(48)];
  using callback = await openCallback(port, issuer, state);
  const url = new URL(authorizationUrl);
  const parameters = {
    response_type: "code",
    client_id: clientId,
    redirect_uri: callback.url,
    scope,
    state,
    nonce,
    code_challenge: createHash("sha256").update(verifier).digest("base64url"),
    code_challenge_method: "S256",
    // Without consent, a provider may give no refresh token.
    ...(scope.includes("offline_access") ? { prompt: "consent" } : {}),
  };
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
  open(url.href);
  const code = await callback.code(cli);
  const form = {
    grant_type: "authorization_code",
    code,
    redirect_uri: callback.url,
    client_id: clientId,
    code_verifier: verifier,
  };
  const answer = await post(client.tokenUrl, form, clock, cli.signal);
  if (answer.status !== 200) throw unusable(issuer, `refuses: ${oauthError(answer)}`);
  return signInOf(client, answer.body, clock.nowMs(), { nonce });
}

interface Callback extends Disposable {
  readonly url: string;
  /** Resolves when the browser comes back. */
  code(cli: CliContext): Promise<string>;
}

async function openCallback(port: number, issuer: string, state: string): Promise<Callback> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  // Nobody waits for it yet when a browser is faster.
  promise.catch(() => {});
  const server = createServer((request, response) => {
    const url = URL.parse(request.url ?? "", "http://127.0.0.1");
    const given = url?.searchParams;
    // Anybody on this computer can ask this server something. Only the provider knows the state.
    if (url?.pathname !== PATH || given?.get("state") !== state) {
      return answer(request, response, 404, "Nothing is here.");
    }
    const code = given.get("code");
    const from = given.get("iss");
    if (code !== null && (from === null || from === issuer)) {
      answer(request, response, 200, "You are signed in. You may close this page.");
      return resolve(code);
    }
    answer(request, response, 400, "You are not signed in. The terminal says why.");
    const why = [given.get("error") ?? "no code", given.get("error_description")];
    reject(unusable(issuer, `refuses: ${why.filter(Boolean).join(": ").slice(0, 300)}`));
  });
  // A browser keeps connections open, and n0cli does not wait for that.
  server.on("connection", (socket) => socket.unref());
  await new Promise<void>((done, fail) => {
    server.once("error", (cause) =>
      fail(new CliError(`cannot listen on 127.0.0.1:${port}: ${cause.message}`, EXIT.failed)),
    );
    server.listen(port, "127.0.0.1", done);
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}${PATH}`,
    async code({ signal, io: { clock } }) {
      using late = abortAfter(clock, WAIT_MAX_MS, () => {
        return new CliError("nobody has signed in within 10 minutes", EXIT.timedOut);
      });
      using _late = onAbort(late.signal, () => reject(late.signal.reason));
      using _interrupt = onAbort(signal, () => reject(signal.reason));
      return await promise;
    },
    [Symbol.dispose]: () => {
      server.close();
      server.closeIdleConnections();
    },
  };
}

function answer(request: IncomingMessage, response: ServerResponse, status: number, text: string) {
  request.resume();
  response.writeHead(status, {
    "content-type": "text/html; charset=utf-8",
    "content-security-policy": "default-src 'none'",
    "cache-control": "no-store",
    // The address of this page holds the code.
    "referrer-policy": "no-referrer",
    connection: "close",
  });
  response.end(`<!doctype html><title>n0cli</title><p>${text}</p>\n`);
}
