import type { CliContext } from "../context.ts";
import { CliError } from "../errors.ts";
import { EXIT } from "../exit-code.ts";
import type { OidcSignIn } from "./stored.ts";
import type { Client } from "./tokens.ts";
import { oauthError, post, signInOf, unusable } from "./tokens.ts";

const INTERVAL_S = 5;
const EXPIRES_S_MAX = 3600;
const GRANT = "urn:ietf:params:oauth:grant-type:device_code";

/**
 * Signs in by the device flow: the person opens a page on any computer, and enters a code there.
 *
 * @throws CliError if the person or the provider refuses, or the code expires.
 */
export async function signInByDevice(cli: CliContext, client: Client): Promise<OidcSignIn> {
  const { clock } = cli.io;
  const { deviceUrl, tokenUrl, issuer, clientId, scope } = client;
  if (deviceUrl === undefined) throw unusable(issuer, "has no sign-in for devices");
  const begun = await post(deviceUrl, { client_id: clientId, scope }, clock, cli.signal);
  if (begun.status !== 200) throw unusable(issuer, `refuses: ${oauthError(begun)}`);
  const { device_code: code, user_code: shown, verification_uri: page } = begun.body;
  if (typeof code !== "string" || typeof shown !== "string" || typeof page !== "string") {
    throw unusable(issuer, "sends no code");
  }
  cli.say(`Open this page on any computer: ${page}`);
  cli.say(`and enter the code: ${shown}`);
  const form = { grant_type: GRANT, device_code: code, client_id: clientId };
  const expiresS = Math.min(EXPIRES_S_MAX, seconds(begun.body["expires_in"], EXPIRES_S_MAX));
  const endMs = clock.monotonicMs() + expiresS * 1000;
  let intervalS = seconds(begun.body["interval"], INTERVAL_S);
  while (clock.monotonicMs() < endMs) {
    await clock.sleep(intervalS * 1000, cli.signal);
    // A provider that does not answer once may answer the next time.
    const answer = await post(tokenUrl, form, clock, cli.signal).catch(() => {
      cli.signal.throwIfAborted();
      return undefined;
    });
    if (answer?.status === 200) return signInOf(client, answer.body, clock.nowMs());
    const error = answer?.body["error"];
    if (answer === undefined || error === "slow_down") intervalS += INTERVAL_S;
    else if (error !== "authorization_pending") {
      throw unusable(issuer, `refuses: ${oauthError(answer)}`);
    }
  }
  throw new CliError("the code has expired, and nobody has signed in", EXIT.timedOut);
}

function seconds(value: unknown, otherwise: number): number {
  return typeof value === "number" && value >= 1 ? value : otherwise;
}
