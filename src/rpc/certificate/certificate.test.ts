import { X509Certificate } from "node:crypto";
import { beforeAll, expect, test } from "vitest";
import { systemRandom } from "../../util/random.ts";
import type { Authority } from "./authority.ts";
import { newAuthorityFiles, openAuthority } from "./authority.ts";
import { API_URI, keyHashOf, nodeUri, peerCertificateOf, publicKeyHash } from "./identity.ts";
import {
  newCertificateRequest,
  newPrivateKey,
  publicKeyOf,
  readCertificateRequest,
} from "./request.ts";

const NOW_MS = Date.UTC(2026, 0, 1);
const HOUR_MS = 3_600_000;

let authority: Authority;
let other: Authority;
beforeAll(async () => {
  authority = await openAuthority(await newAuthorityFiles(NOW_MS, systemRandom), systemRandom);
  other = await openAuthority(await newAuthorityFiles(NOW_MS, systemRandom), systemRandom);
});

function sign(by: Authority, uri: string, hosts: readonly string[] = []) {
  const publicKey = publicKeyOf(newPrivateKey());
  return by.sign({ uri, commonName: "n1", hosts, publicKey, lifetimeMs: HOUR_MS }, NOW_MS);
}

function read(certificate: string, by: Authority = authority) {
  return peerCertificateOf(new X509Certificate(certificate), new X509Certificate(by.certificate));
}

test("a certificate names a node, for its time", async () => {
  const key = newPrivateKey();
  const publicKey = await readCertificateRequest("request", await newCertificateRequest(key));
  expect(publicKey).toEqual(new Uint8Array(publicKeyOf(key)));
  const certificate = await authority.sign(
    { uri: nodeUri("n1"), commonName: "n1", hosts: ["192.0.2.1"], publicKey, lifetimeMs: HOUR_MS },
    NOW_MS,
  );
  expect(read(certificate)).toEqual({
    identity: { kind: "node", name: "n1" },
    spki: expect.any(Uint8Array),
    keyHash: publicKeyHash(publicKey),
    notBeforeMs: NOW_MS - 300_000,
    notAfterMs: NOW_MS + HOUR_MS,
  });
  const parsed = new X509Certificate(certificate);
  expect(parsed.checkIP("192.0.2.1")).toBe("192.0.2.1");
  expect(parsed.ca).toBe(false);
  expect(read(await sign(authority, API_URI))?.identity).toEqual({ kind: "api" });
});

test("the fingerprint is that of the authority's key", () => {
  expect(authority.fingerprint).toBe(keyHashOf(new X509Certificate(authority.certificate)));
  expect(authority.fingerprint).not.toBe(other.fingerprint);
});

test.for([
  ["another authority", () => sign(other, nodeUri("n1"))],
  ["a name that nobody can have", () => sign(authority, nodeUri("a/b"))],
  ["a URI of others", () => sign(authority, "https://example.com")],
  ["the authority itself", async () => authority.certificate],
] as const)("a certificate of %s says nothing", async ([, make]) => {
  expect(read(await make())).toBeUndefined();
});

test("a leaf cannot sign", async () => {
  const key = newPrivateKey();
  const leaf = { uri: nodeUri("n1"), commonName: "n1", hosts: [], lifetimeMs: HOUR_MS };
  const certificate = await authority.sign({ ...leaf, publicKey: publicKeyOf(key) }, NOW_MS);
  const forger = await openAuthority({ key, certificate }, systemRandom);
  const forged = await sign(forger, API_URI);
  expect(read(forged)).toBeUndefined();
});

test.for([
  ["nothing", async () => new Uint8Array()],
  ["no DER", async () => new TextEncoder().encode("-----BEGIN")],
  [
    "a changed signature",
    async () => {
      const request = await newCertificateRequest(newPrivateKey());
      request[request.length - 1]! ^= 1;
      return request;
    },
  ],
  [
    "bytes after its end cut",
    async () => (await newCertificateRequest(newPrivateKey())).slice(0, -9),
  ],
] as const)("%s is no certificate request", async ([, make]) => {
  await expect(readCertificateRequest("certificate_request", await make())).rejects.toMatchObject({
    kind: "invalid_argument",
    message: expect.stringContaining("certificate_request: must be a PKCS #10 request"),
  });
});
