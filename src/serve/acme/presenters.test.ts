import { createHash, X509Certificate } from "node:crypto";
import { connect } from "node:tls";
import { afterEach, expect, test } from "vitest";
import { selfSigned } from "../../../test/self-signed.ts";
import { x509 } from "../../rpc/certificate/x509.ts";
import { type Listener, listen } from "../../rpc/listen.ts";
import { silentLog } from "../../util/log.ts";
import { tlsPresenter } from "./presenters.ts";

const DOMAIN = "cloud.example";
let listener: Listener | undefined;
afterEach(() => listener?.stop(0));

/** What a client that offers this protocol sees: the protocol and the certificate, or the error. */
async function handshake(servername: string, protocol: string) {
  const { promise, resolve } = Promise.withResolvers<{
    protocol: unknown;
    seen: X509Certificate;
  }>();
  const failed = Promise.withResolvers<never>();
  const socket = connect(
    {
      ...{ host: "127.0.0.1", port: listener!.port, servername },
      ...{ ALPNProtocols: [protocol], rejectUnauthorized: false },
    },
    () => {
      const seen = new X509Certificate(socket.getPeerX509Certificate()!.raw);
      resolve({ protocol: socket.alpnProtocol, seen });
    },
  );
  socket.on("error", ({ code }: NodeJS.ErrnoException) => failed.reject(new Error(code)));
  try {
    return await Promise.race([promise, failed.promise]);
  } finally {
    socket.destroy();
  }
}

test("tls-alpn-01: the handshake shows the hash of the answer, for its domain and only meanwhile", async () => {
  const own = selfSigned();
  const presenter = tlsPresenter();
  listener = await listen({
    ...{ host: "127.0.0.1", port: 0, log: silentLog, routes: () => {} },
    tls: { ...own, challengeFor: presenter.challengeFor },
  });
  const refused = "ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL";
  await expect(handshake(DOMAIN, "acme-tls/1")).rejects.toThrow(refused);

  const shown = await presenter.present(DOMAIN, "t", "t.thumbprint");
  const { protocol, seen } = await handshake("Cloud.Example", "acme-tls/1");
  expect(protocol).toBe("acme-tls/1");
  expect(seen.subjectAltName).toBe(`DNS:${DOMAIN}`);
  const extension = new x509.X509Certificate(seen.raw).getExtension("1.3.6.1.5.5.7.1.31");
  expect(extension?.critical).toBe(true);
  const hash = createHash("sha256").update("t.thumbprint").digest("hex");
  expect(Buffer.from(extension!.value).toString("hex")).toBe(`0420${hash}`);
  await expect(handshake("other.example", "acme-tls/1")).rejects.toThrow(refused);

  for (const other of ["h2", "http/1.1"]) {
    const users = await handshake(DOMAIN, other);
    expect(users.protocol).toBe(other);
    expect(users.seen.raw).toEqual(new X509Certificate(own.cert).raw);
  }
  await shown[Symbol.asyncDispose]();
  await expect(handshake(DOMAIN, "acme-tls/1")).rejects.toThrow(refused);
});
