import { X509Certificate } from "node:crypto";
import type { SecureClientSessionOptions } from "node:http2";
import type { Interceptor } from "@connectrpc/connect";
import { systemClock } from "../util/clock.ts";
import { N0Error } from "../util/errors.ts";
import {
  API_SERVER_NAME,
  type Identity,
  identityText,
  peerCertificateOf,
} from "./certificate/identity.ts";
import { toConnectError } from "./errors.ts";

/** Our certificate with those that lead to its authority, and its key, PEM. */
export interface OwnCertificate {
  readonly cert: string;
  readonly key: string;
}

/** How a client of our own shows who it is, and whom it expects. */
export interface MutualTls {
  /** The certificate of the authority of both sides, PEM. */
  readonly authority: string;
  /** Undefined for an agent that has not joined yet. */
  readonly own?: OwnCertificate;
  /** The server must be this one. */
  readonly expected: Identity;
}

/** The options of TLS. The address of the server proves nothing: its certificate names it. */
export function clientOptions({ authority, own, expected }: MutualTls): SecureClientSessionOptions {
  const ca = new X509Certificate(authority);
  return {
    ca: authority,
    minVersion: "TLSv1.3",
    ...own,
    ...(expected.kind === "api" ? { servername: API_SERVER_NAME } : {}),
    checkServerIdentity: (_host, { raw }) => {
      const found = peerCertificateOf(new X509Certificate(raw), ca)?.identity;
      const isExpected = found !== undefined && identityText(found) === identityText(expected);
      if (isExpected) return undefined;
      const who = found === undefined ? "somebody else" : identityText(found);
      return new Error(`the server there is ${who}, not ${identityText(expected)}`);
    },
  };
}

const SKEW_CODES: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: "has expired",
  CERT_NOT_YET_VALID: "is not valid yet",
};

/** Says which clocks are off where a certificate is not valid at this time. */
export function skewInterceptor(
  baseUrl: string,
  expected: Identity,
  nowMs: () => number = () => systemClock.nowMs(),
): Interceptor {
  return (next) => async (request) => {
    try {
      return await next(request);
    } catch (reason) {
      const code = codesOf(reason).find((one) => Object.hasOwn(SKEW_CODES, one));
      if (code === undefined) throw reason;
      throw toConnectError(
        new N0Error(
          "unavailable",
          `the certificate of ${identityText(expected)} at ${baseUrl} ${SKEW_CODES[code]}: the clock of this computer, ` +
            `which says ${new Date(nowMs()).toISOString()}, or that of the other one is wrong`,
          { cause: reason },
        ),
      );
    }
  };
}

function codesOf(reason: unknown): string[] {
  const codes: string[] = [];
  for (let one = reason; one instanceof Error && codes.length < 8; one = one.cause) {
    if ("code" in one) codes.push(String(one.code));
  }
  return codes;
}
