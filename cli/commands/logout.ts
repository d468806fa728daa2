import { rm } from "node:fs/promises";
import { Command } from "commander";
import { parseSafeUrl } from "../../src/util/json-request.ts";
import type { CliContext } from "../context.ts";
import { withExamples } from "../examples.ts";
import { withLockFile } from "../sign-in/lock-file.ts";
import { endSession } from "../sign-in/password.ts";
import { isSession, type OidcSignIn, readSignIn, signInPath } from "../sign-in/stored.ts";
import { oauthError, post } from "../sign-in/tokens.ts";

export function logoutCommand(cli: CliContext): Command {
  const command = new Command("logout").description(
    "forget the sign-in at this API, and end it at the provider or the API",
  );
  withExamples(command, ["logout"]);
  return command.action(async () => {
    const { baseUrl } = await cli.connection();
    const path = signInPath(cli.io, baseUrl);
    await withLockFile(`${path}.lock`, cli.io, async () => {
      // A damaged file is removed too.
      const signIn = await readSignIn(path).catch(() => undefined);
      if (signIn !== undefined && isSession(signIn)) {
        // It takes the file to end the session.
        const why = await endSession(cli, path, signIn);
        await rm(path, { force: true });
        cli.say(`signed out of ${baseUrl}`);
        if (why !== undefined) cli.say(`but the session goes on until it expires: ${why}`);
        return;
      }
      await rm(path, { force: true });
      if (signIn === undefined) return cli.say(`you were not signed in at ${baseUrl}`);
      const why = await revoke(cli, signIn);
      cli.say(`signed out of ${baseUrl}`);
      if (why !== undefined) {
        cli.say(`but the provider still knows the sign-in: ${signIn.issuer} ${why}`);
      }
    });
  });
}

/** @returns why it is not revoked. */
async function revoke(cli: CliContext, signIn: OidcSignIn): Promise<string | undefined> {
  const { refresh_token: token, revocation_endpoint: endpoint, client_id: clientId } = signIn;
  if (token === undefined) return undefined;
  const url = parseSafeUrl(endpoint);
  if (url === undefined) return "revokes none";
  try {
    const form = { token, token_type_hint: "refresh_token", client_id: clientId };
    const answer = await post(url, form, cli.io.clock, cli.signal);
    return answer.status === 200 ? undefined : `refuses: ${oauthError(answer)}`;
  } catch (reason) {
    return reason instanceof Error ? `does not answer: ${reason.message}` : "does not answer";
  }
}
