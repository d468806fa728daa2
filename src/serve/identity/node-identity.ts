import { createHash, X509Certificate } from "node:crypto";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { replaceDurably } from "../durable-file.ts";
import { readPrivateFile } from "../private-file.ts";

const JoiningSchema = z.object({
  nodeName: z.string(),
  /** PEM. */
  key: z.string(),
  /** The hash of the secret of the join token. */
  joinedWith: z.string(),
});
const IdentitySchema = JoiningSchema.extend({
  /** PEM. */
  certificate: z.string(),
  /** The certificate of the authority, PEM. */
  authority: z.string(),
});

/** A node that asks for its first certificate. */
export type Joining = z.infer<typeof JoiningSchema>;
/** A node that has joined. */
export type NodeIdentity = z.infer<typeof IdentitySchema>;

const FOLDER = "identity";
const IDENTITY = "identity.json";
const JOINING = "joining.json";

/** @throws N0Error `failed_precondition` for a damaged file, and for one that others can read. */
export function readIdentity(baseDirectory: string): NodeIdentity | undefined {
  return read(baseDirectory, IDENTITY, IdentitySchema);
}

/** What a join that was interrupted had begun with. */
export function readJoining(baseDirectory: string): Joining | undefined {
  return read(baseDirectory, JOINING, JoiningSchema);
}

/** The key is on the disk before the API hears of it, so that a repeat asks with the same. */
export function writeJoining(baseDirectory: string, joining: Joining): void {
  write(baseDirectory, JOINING, joining);
}

export function writeIdentity(baseDirectory: string, identity: NodeIdentity): void {
  write(baseDirectory, IDENTITY, identity);
  rmSync(join(baseDirectory, FOLDER, JOINING), { force: true });
}

export function hashOfSecret(secret: string): string {
  return createHash("sha256").update(secret).digest("hex");
}

/** When the certificate begins and ends. */
export function timesOf({ certificate }: Pick<NodeIdentity, "certificate">): {
  readonly fromMs: number;
  readonly toMs: number;
} {
  const { validFromDate, validToDate } = new X509Certificate(certificate);
  return { fromMs: validFromDate.getTime(), toMs: validToDate.getTime() };
}

function read<T>(baseDirectory: string, name: string, schema: z.ZodType<T>): T | undefined {
  return readPrivateFile(
    join(baseDirectory, FOLDER, name),
    schema,
    'delete it, and join again with a token of "n0cli node join-token --node NAME"',
  );
}

function write(baseDirectory: string, name: string, value: Joining | NodeIdentity): void {
  const folder = join(baseDirectory, FOLDER);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  replaceDurably(join(folder, name), `${JSON.stringify(value, null, 2)}\n`);
}
