import { createPrivateKey, createPublicKey, generateKeyPairSync, webcrypto } from "node:crypto";
import { invalid } from "../../util/errors.ts";
import { P256, x509 } from "./x509.ts";

/** A new private key, PEM. */
export function newPrivateKey(): string {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return privateKey.export({ format: "pem", type: "pkcs8" }).toString();
}

/** The public key of a private one, in DER. */
export function publicKeyOf(privateKey: string): Uint8Array {
  return createPublicKey(privateKey).export({ format: "der", type: "spki" });
}

/**
 * Asks for a certificate, and proves to have the key: a PKCS #10 request in DER. Our own authority ignores the
 * domains.
 */
export async function newCertificateRequest(
  privateKey: string,
  domains: readonly string[] = [],
): Promise<Uint8Array> {
  const der = createPrivateKey(privateKey).export({ format: "der", type: "pkcs8" });
  const { subtle } = webcrypto;
  const keys = {
    privateKey: await subtle.importKey("pkcs8", new Uint8Array(der), P256, false, ["sign"]),
    publicKey: await subtle.importKey("spki", new Uint8Array(publicKeyOf(privateKey)), P256, true, [
      "verify",
    ]),
  };
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    keys,
    signingAlgorithm: P256,
    ...(domains.length === 0 ? {} : { extensions: [domainNames(domains)] }),
  });
  return new Uint8Array(request.rawData);
}

function domainNames(domains: readonly string[]) {
  return new x509.SubjectAlternativeNameExtension(
    domains.map((value) => ({ type: "dns", value }) as const),
  );
}

/**
 * The public key of a certificate request, in DER. Nothing else of the request counts: the authority alone
 * decides what a certificate says.
 *
 * @throws N0Error `invalid_argument` for anything but a request for a P-256 key, signed by that key.
 */
export async function readCertificateRequest(field: string, der: Uint8Array): Promise<Uint8Array> {
  try {
    const request = new x509.Pkcs10CertificateRequest(der.slice().buffer);
    const key = new Uint8Array(request.publicKey.rawData);
    const { asymmetricKeyDetails } = createPublicKey({
      key: Buffer.from(key),
      format: "der",
      type: "spki",
    });
    const isOurs = asymmetricKeyDetails?.namedCurve === "prime256v1";
    if (isOurs && (await request.verify())) return key;
  } catch {
    // Whatever is wrong with it, the rule says it.
  }
  throw invalid(field, "must be a PKCS #10 request in DER, signed by its own P-256 key");
}
