import { createPrivateKey, type KeyObject, webcrypto, X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import type { Random } from "../../util/random.ts";
import { keyHashOf } from "./identity.ts";
import { signedTicket } from "./ticket-signature.ts";
import { P256, x509 } from "./x509.ts";

const DAY_MS = 24 * 3_600_000;
/** The key of the authority can be replaced only by joining every node again. */
const AUTHORITY_LIFETIME_MS = 20 * 365 * DAY_MS;
/** A certificate is valid from this time before it is signed, for clocks that are behind. */
const BACKDATED_MS = 5 * 60_000;

/** The private key of the authority and its certificate, PEM. */
export interface AuthorityFiles {
  readonly key: string;
  readonly certificate: string;
}

/** What a certificate says. */
export interface Subject {
  /** `n0stack://api` or `n0stack://node/<name>`. */
  readonly uri: string;
  readonly commonName: string;
  /** DNS names and addresses at which clients find it as a server. */
  readonly hosts: readonly string[];
  /** In DER. */
  readonly publicKey: Uint8Array;
  readonly lifetimeMs: number;
}

/** Signs the certificates of the API and the nodes. */
export interface Authority {
  /** Its own certificate, PEM. */
  readonly certificate: string;
  /** The hash of its public key: see `publicKeyHash`. */
  readonly fingerprint: string;
  /** @returns the certificate, PEM. */
  sign(subject: Subject, nowMs: number): Promise<string>;
  /** @returns a ticket with this content: see `verifiedTicket`. */
  readonly signTicket: (content: string) => string;
}

/** Makes the key and certificate of a new authority. */
export async function newAuthorityFiles(nowMs: number, random: Random): Promise<AuthorityFiles> {
  const keys = await webcrypto.subtle.generateKey(P256, true, ["sign", "verify"]);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(random),
    name: [{ CN: ["n0stack authority"] }],
    notBefore: new Date(nowMs - BACKDATED_MS),
    notAfter: new Date(nowMs + AUTHORITY_LIFETIME_MS),
    signingAlgorithm: P256,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(
        x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign,
        true,
      ),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  const key = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", keys.privateKey));
  return {
    key: createPrivateKey({ key, format: "der", type: "pkcs8" })
      .export({ format: "pem", type: "pkcs8" })
      .toString(),
    certificate: `${certificate.toString("pem")}\n`,
  };
}

/** @throws Error if the key and the certificate do not belong together. */
export async function openAuthority(files: AuthorityFiles, random: Random): Promise<Authority> {
  const key = createPrivateKey(files.key);
  const own = new X509Certificate(files.certificate);
  if (!own.checkPrivateKey(key)) throw new Error("the key of the authority is not its own");
  const signingKey = await signingKeyOf(key);
  const issuer = new x509.X509Certificate(files.certificate);
  const issuedBy = await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey);
  return {
    certificate: files.certificate,
    fingerprint: keyHashOf(own),
    signTicket: (content) => signedTicket(content, key),
    async sign({ uri, commonName, hosts, publicKey, lifetimeMs }, nowMs) {
      const certificate = await x509.X509CertificateGenerator.create({
        serialNumber: serialNumber(random),
        subject: [{ CN: [commonName] }],
        issuer: issuer.subject,
        notBefore: new Date(nowMs - Math.min(BACKDATED_MS, lifetimeMs / 10)),
        notAfter: new Date(Math.min(nowMs + lifetimeMs, issuer.notAfter.getTime())),
        signingAlgorithm: P256,
        publicKey: new x509.PublicKey(publicKey.slice().buffer),
        signingKey,
        extensions: [
          new x509.BasicConstraintsExtension(false, undefined, true),
          new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
          new x509.ExtendedKeyUsageExtension([
            x509.ExtendedKeyUsage.serverAuth,
            x509.ExtendedKeyUsage.clientAuth,
          ]),
          new x509.SubjectAlternativeNameExtension([
            { type: "url", value: uri },
            ...hosts.map(hostName),
          ]),
          issuedBy,
        ],
      });
      return `${certificate.toString("pem")}\n`;
    },
  };
}

function hostName(host: string): { readonly type: "ip" | "dns"; readonly value: string } {
  return { type: isIP(host) === 0 ? "dns" : "ip", value: host };
}

async function signingKeyOf(key: KeyObject): Promise<webcrypto.CryptoKey> {
  const der = key.export({ format: "der", type: "pkcs8" });
  return await webcrypto.subtle.importKey("pkcs8", new Uint8Array(der), P256, false, ["sign"]);
}

/** Positive, and of the same length for each. */
function serialNumber(random: Random): string {
  const bytes = Buffer.from(random.token(16), "base64url");
  bytes[0] = (bytes[0]! & 0x3f) | 0x40;
  return bytes.toString("hex");
}
