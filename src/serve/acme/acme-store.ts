import { X509Certificate } from "node:crypto";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { replaceDurably } from "../durable-file.ts";
import { readPrivateFile } from "../private-file.ts";

const AccountSchema = z.object({
  /** The directory URL of the server that knows it. */
  directory: z.string(),
  /** PEM. */
  key: z.string(),
  /** Missing until the server has answered. */
  url: z.string().optional(),
  /** The address that the server has. */
  email: z.string().optional(),
});
const OrderSchema = z.object({
  directory: z.string(),
  domains: z.array(z.string()),
  /** The key of the certificate, PEM. */
  key: z.string(),
  url: z.string().optional(),
});
const CertificateSchema = z.object({
  directory: z.string(),
  domains: z.array(z.string()),
  key: z.string(),
  /** With its chain, PEM. */
  cert: z.string(),
});

export type StoredAccount = z.infer<typeof AccountSchema>;
/** An order that has no certificate yet. */
export type StoredOrder = z.infer<typeof OrderSchema>;
export type StoredCertificate = z.infer<typeof CertificateSchema>;

interface Kept<T> {
  /** @throws N0Error `failed_precondition` for a damaged file, and for one that others can read. */
  read(): T | undefined;
  write(value: T): void;
  remove(): void;
}

/**
 * What the API keeps of its dealings with an ACME server, in `<base directory>/acme`. Each file is written as a
 * whole. What the server must be asked for again under the same key or URL is on the disk before the request.
 */
export interface AcmeStore {
  readonly account: Kept<StoredAccount>;
  readonly order: Kept<StoredOrder>;
  readonly certificate: Kept<StoredCertificate>;
}

export function acmeStore(baseDirectory: string): AcmeStore {
  const folder = join(baseDirectory, "acme");
  const kept = <T>(name: string, schema: z.ZodType<T>): Kept<T> => {
    const path = join(folder, name);
    return {
      read: () => readPrivateFile(path, schema, "delete it, and the API makes another"),
      write: (value) => {
        mkdirSync(folder, { recursive: true, mode: 0o700 });
        replaceDurably(path, `${JSON.stringify(value, null, 2)}\n`);
      },
      remove: () => rmSync(path, { force: true }),
    };
  };
  return {
    account: kept("account.json", AccountSchema),
    order: kept("order.json", OrderSchema),
    certificate: kept("certificate.json", CertificateSchema),
  };
}

/** When the certificate begins and ends. */
export function timesOf({ cert }: Pick<StoredCertificate, "cert">) {
  const { validFromDate, validToDate } = new X509Certificate(cert);
  return { fromMs: validFromDate.getTime(), toMs: validToDate.getTime() };
}
