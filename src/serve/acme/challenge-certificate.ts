import { randomBytes, webcrypto } from "node:crypto";
import { P256, x509 } from "../../rpc/certificate/x509.ts";
import type { OwnCertificate } from "../../rpc/mutual-tls.ts";
import { systemClock } from "../../util/clock.ts";

/** `id-pe-acmeIdentifier` */
const ACME_IDENTIFIER = "1.3.6.1.5.5.7.1.31";
/** An OCTET STRING of 32 bytes in DER. */
const OCTETS_32 = Buffer.from([0x04, 0x20]);
const DAY_MS = 24 * 3_600_000;

/** The self-signed certificate that answers a challenge tls-alpn-01 (RFC 8737). Only the hash in it counts. */
export async function challengeCertificate(domain: string, hash: Buffer): Promise<OwnCertificate> {
  const keys = await webcrypto.subtle.generateKey(P256, true, ["sign", "verify"]);
  const nowMs = systemClock.nowMs();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: `01${randomBytes(8).toString("hex")}`,
    name: [{ CN: ["acme challenge"] }],
    notBefore: new Date(nowMs - DAY_MS),
    notAfter: new Date(nowMs + DAY_MS),
    signingAlgorithm: P256,
    keys,
    extensions: [
      new x509.SubjectAlternativeNameExtension([{ type: "dns", value: domain }]),
      new x509.Extension(
        ACME_IDENTIFIER,
        true,
        new Uint8Array(Buffer.concat([OCTETS_32, hash])).buffer,
      ),
    ],
  });
  const der = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", keys.privateKey));
  const key = `-----BEGIN PRIVATE KEY-----\n${der.toString("base64")}\n-----END PRIVATE KEY-----\n`;
  return { cert: `${certificate.toString("pem")}\n`, key };
}
