import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import type { OwnCertificate } from "../../rpc/mutual-tls.ts";
import { N0Error } from "../../util/errors.ts";
import type { Presenter } from "./obtain.ts";

const PATH = "/.well-known/acme-challenge/";
/** A server checks from several places, and strangers may call. */
const CONNECTIONS_MAX = 64;
const HEADERS_TIMEOUT_MS = 10_000;

/** Answers by plain HTTP. The port is open only while a challenge goes on. */
export function httpPresenter(host: string, port: number): Presenter {
  return {
    type: "http-01",
    async present(_domain, token, answer) {
      const server = createServer({ headersTimeout: HEADERS_TIMEOUT_MS }, (request, response) => {
        const isChallenge = request.method === "GET" && request.url === `${PATH}${token}`;
        response.writeHead(isChallenge ? 200 : 404, {
          "content-type": "application/octet-stream",
          connection: "close",
        });
        response.end(isChallenge ? answer : "");
      });
      server.maxConnections = CONNECTIONS_MAX;
      try {
        server.listen({ host, port });
        await once(server, "listening");
        // Of a connection that cannot be accepted. The check of the ACME server then says what is wrong.
        server.on("error", () => {});
      } catch (cause) {
        const why = cause instanceof Error ? cause.message : String(cause);
        throw new N0Error(
          "failed_precondition",
          `--acme-http-port: cannot listen on ${host}:${port} for the challenge: ${why}`,
        );
      }
      return {
        async [Symbol.asyncDispose]() {
          const closed = once(server, "close");
          server.close();
          server.closeAllConnections();
          await closed;
        },
      };
    },
  };
}

/** Answers in the TLS handshake (RFC 8737), on the port of the API. */
export interface TlsPresenter extends Presenter {
  /** The certificate of the challenge that goes on for the domain. */
  challengeFor(domain: string): OwnCertificate | undefined;
}

export function tlsPresenter(): TlsPresenter {
  const shown = new Map<string, OwnCertificate>();
  return {
    type: "tls-alpn-01",
    challengeFor: (domain) => shown.get(domain),
    async present(domain, _token, keyAuthorization) {
      const { challengeCertificate } = await import("./challenge-certificate.ts");
      const hash = createHash("sha256").update(keyAuthorization).digest();
      shown.set(domain, await challengeCertificate(domain, hash));
      return { [Symbol.asyncDispose]: async () => void shown.delete(domain) };
    },
  };
}
