import { createHash } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import {
  PasswordService,
  SignInRequestSchema,
} from "../../src/gen/n0stack/iam/v1alpha1/password_pb.ts";
import {
  DeleteTokenRequestSchema,
  TokenService,
} from "../../src/gen/n0stack/iam/v1alpha1/token_pb.ts";
import { isReadOnTheWay } from "../../src/util/loopback.ts";
import type { CliContext } from "../context.ts";
import { CliError } from "../errors.ts";
import { passwordSource } from "./ask-password.ts";
import type { PasswordSignIn } from "./stored.ts";

const TIMEOUT_MS = 30_000;
/** What the API answers with a session that has ended. */
const ENDED: readonly Code[] = [Code.Unauthenticated, Code.NotFound];

interface Person {
  readonly userName: string;
  /** Empty for the domain `default`. */
  readonly domain: string;
  readonly isFromStdin: boolean;
}

/** @throws CliError for an endpoint to which no password may go. */
export function throwIfReadOnTheWay(baseUrl: string): void {
  if (!isReadOnTheWay(baseUrl)) return;
  throw new CliError(
    `n0cli sends no password to ${baseUrl}, because the connection is not encrypted: use an https:// endpoint`,
  );
}

/** Signs in with a password, and makes the secret of the session. */
export async function signInByPassword(
  cli: CliContext,
  { userName, domain, isFromStdin }: Person,
): Promise<PasswordSignIn> {
  const { baseUrl, tlsCa } = await cli.connection();
  throwIfReadOnTheWay(baseUrl);
  const password = await (await passwordSource(cli, isFromStdin)).ask(`Password of ${userName}`);
  const secret = cli.io.random.token(32);
  const secretSha256 = createHash("sha256").update(secret).digest();
  const request = create(SignInRequestSchema, { userName, domain, password, secretSha256 });
  // Without any token: an old one may be the reason to sign in.
  const { transport, close } = await cli.io.openTransport({
    baseUrl,
    ...(tlsCa === undefined ? {} : { tlsCa }),
  });
  try {
    const { signIn } = PasswordService.method;
    const timeoutMs = cli.flags().timeout ?? TIMEOUT_MS;
    const answer = await transport.unary(signIn, cli.signal, timeoutMs, undefined, request);
    const { name = "", principal = "", createdAt, expiresAt } = answer.message.token ?? {};
    if (createdAt === undefined || expiresAt === undefined) {
      throw new CliError(`cannot sign in: ${baseUrl} answers without a session`);
    }
    return {
      endpoint: baseUrl,
      principal,
      session_token: `n0_${name}_${secret}`,
      stored_ms: cli.io.clock.nowMs(),
      lifetime_ms: timestampMs(expiresAt) - timestampMs(createdAt),
    };
  } finally {
    close();
  }
}

/** Ends the session at the API. @returns why it has not ended. */
export async function endSession(
  cli: CliContext,
  path: string,
  signIn: PasswordSignIn,
): Promise<string | undefined> {
  const { baseUrl, tlsCa } = await cli.connection();
  const ageMs = cli.io.clock.nowMs() - signIn.stored_ms;
  if (ageMs >= signIn.lifetime_ms) return undefined;
  try {
    const connection = { baseUrl, signIn: path, ...(tlsCa === undefined ? {} : { tlsCa }) };
    const { transport, close } = await cli.io.openTransport(connection);
    try {
      const [, name = ""] = signIn.session_token.split("_");
      const request = create(DeleteTokenRequestSchema, { name });
      const { deleteToken } = TokenService.method;
      const timeoutMs = cli.flags().timeout ?? TIMEOUT_MS;
      await transport.unary(deleteToken, cli.signal, timeoutMs, undefined, request);
      return undefined;
    } finally {
      close();
    }
  } catch (reason) {
    if (reason instanceof ConnectError && ENDED.includes(reason.code)) return undefined;
    return reason instanceof Error ? reason.message : String(reason);
  }
}
