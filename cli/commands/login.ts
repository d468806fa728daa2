import { create } from "@bufbuild/protobuf";
import { Command, InvalidArgumentError } from "commander";
import {
  GetSignInMethodsRequestSchema,
  IdentityService,
  type OidcMethod,
} from "../../src/gen/n0stack/iam/v1alpha1/identity_pb.ts";
import { N0Error } from "../../src/util/errors.ts";
import { isReadOnTheWay } from "../../src/util/loopback.ts";
import { quote } from "../../src/util/quote.ts";
import type { CliContext } from "../context.ts";
import { CliError } from "../errors.ts";
import { withExamples } from "../examples.ts";
import { EXIT } from "../exit-code.ts";
import { signInByCode } from "../sign-in/code-flow.ts";
import { signInByDevice } from "../sign-in/device-flow.ts";
import { serverUid } from "../sign-in/listener.ts";
import { withLockFile } from "../sign-in/lock-file.ts";
import { signInByPassword } from "../sign-in/password.ts";
import { type OidcSignIn, type StoredSignIn, signInPath, writeSignIn } from "../sign-in/stored.ts";
import { claimsOf, openClient } from "../sign-in/tokens.ts";

const ASK_TIMEOUT_MS = 10_000;

interface Flags {
  readonly device?: boolean;
  readonly domain?: string;
  readonly issuer?: string;
  readonly port: number;
  readonly user?: string;
  readonly passwordStdin?: boolean;
  /** False for `--no-browser`. */
  readonly browser: boolean;
}

export function loginCommand(cli: CliContext): Command {
  const command = new Command("login")
    .description(
      "sign in at the provider of this API with a browser, or with a password; n0cli keeps the sign-in",
    )
    .option("--user <name>", "sign in as this user, with a password")
    .option("--password-stdin", "read the password from standard input")
    .option("--device", "show a code to enter on another computer, for one without a browser")
    .option(
      "--domain <name>",
      "the domain that you belong to (default: that of the only provider, or default)",
    )
    .option("--issuer <url>", "the provider to sign in at, if the API has several")
    .option("--port <port>", "the port on loopback that the provider sends you back to", portOf, 0)
    .option("--no-browser", "print the address, and open no browser");
  withExamples(command, ["login", "login --device", "login --domain corp", "login --user alice"]);
  return command.action(async (flags: Flags) => {
    const { baseUrl } = await cli.connection();
    if (isReadOnTheWay(baseUrl)) {
      throw new CliError(
        `n0cli does not sign in at ${baseUrl}, because the connection is not encrypted: use an https:// endpoint`,
      );
    }
    const { signIn, text } =
      flags.user === undefined
        ? await signInAtProvider(cli, baseUrl, flags)
        : await signInAs(cli, flags.user, flags);
    // The one that answers now, and to which the sign-in went.
    const server_uid = serverUid(baseUrl);
    const kept = { ...signIn, ...(server_uid === undefined ? {} : { server_uid }) };
    const path = signInPath(cli.io, baseUrl);
    await withLockFile(`${path}.lock`, cli.io, () => writeSignIn(path, kept, cli.io.random));
    cli.say(`signed in at ${baseUrl} as ${text}`);
    const { tokenFile, tokenOrigin } = await cli.connection();
    if (tokenFile !== undefined && tokenOrigin === undefined) {
      cli.say(`but n0cli uses the token in ${tokenFile}, because it is configured`);
    }
  });
}

interface Done {
  readonly signIn: StoredSignIn;
  /** Who signed in. */
  readonly text: string;
}

async function signInAtProvider(cli: CliContext, baseUrl: string, flags: Flags): Promise<Done> {
  const method = choose(await askMethods(cli), flags);
  const signIn = await signingIn(cli, baseUrl, method, flags);
  const claims = claimsOf(signIn.id_token);
  const name = claims["preferred_username"] ?? claims["email"] ?? signIn.subject;
  return { signIn, text: `${String(name)}, by ${signIn.issuer}` };
}

async function signInAs(cli: CliContext, userName: string, flags: Flags): Promise<Done> {
  const { domain = "", passwordStdin: isFromStdin = false } = flags;
  const signIn = await signInByPassword(cli, { userName, domain, isFromStdin });
  return { signIn, text: signIn.principal };
}

function portOf(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : -1;
  if (port >= 0 && port <= 65535) return port;
  throw new InvalidArgumentError("It is not a port.");
}

/** Asks without any token: an old one may be the reason to sign in. */
async function askMethods(cli: CliContext): Promise<readonly OidcMethod[]> {
  const { baseUrl, tlsCa } = await cli.connection();
  const { transport, close } = await cli.io.openTransport({
    baseUrl,
    ...(tlsCa === undefined ? {} : { tlsCa }),
  });
  try {
    const request = create(GetSignInMethodsRequestSchema);
    const timeoutMs = cli.flags().timeout ?? ASK_TIMEOUT_MS;
    const { getSignInMethods } = IdentityService.method;
    const answer = await transport.unary(
      getSignInMethods,
      cli.signal,
      timeoutMs,
      undefined,
      request,
    );
    return answer.message.oidc;
  } finally {
    close();
  }
}

function choose(methods: readonly OidcMethod[], { domain, issuer }: Flags): OidcMethod {
  const fitting = methods.filter(
    (method) =>
      (domain === undefined || method.domain === domain) &&
      (issuer === undefined || method.issuer === issuer),
  );
  const [first, second] = fitting;
  if (first !== undefined && second === undefined) return first;
  if (methods.length === 0) {
    throw new CliError(
      "this API has no provider to sign in at: use a password, with --user, or a token, with --token-file",
      EXIT.notFound,
    );
  }
  const known = methods.map((method) => `${quote(method.domain)} (${method.issuer})`).join(", ");
  throw new CliError(`say where to sign in, with --domain: there are ${known}`);
}

async function signingIn(
  cli: CliContext,
  baseUrl: string,
  method: OidcMethod,
  flags: Flags,
): Promise<OidcSignIn> {
  try {
    const client = await openClient(baseUrl, method, cli.io.clock, cli.signal);
    if (flags.device === true) return await signInByDevice(cli, client);
    const open = (url: string) => {
      cli.say(`Open this page in a browser on this computer: ${url}`);
      if (flags.browser && hasDisplay(cli)) void cli.io.exec("xdg-open", [url]).catch(() => {});
    };
    return await signInByCode(cli, client, { port: flags.port, open });
  } catch (reason) {
    if (!(reason instanceof N0Error)) throw reason;
    throw new CliError(`cannot sign in: ${reason.message}`, EXIT.failed, reason);
  }
}

function hasDisplay({ io: { env } }: CliContext): boolean {
  return [env["DISPLAY"], env["WAYLAND_DISPLAY"]].some((name) => name !== undefined && name !== "");
}
