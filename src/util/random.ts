import { randomBytes, randomUUID } from "node:crypto";

/** Randomness, as a parameter, so that a run can be repeated. */
export interface Random {
  uuid(): string;
  /** A URL-safe secret of `bytes` random bytes. */
  token(bytes: number): string;
  /** A number in [0, 1), for jitter. */
  fraction(): number;
}

export const systemRandom: Random = {
  uuid: () => randomUUID(),
  token: (bytes) => randomBytes(bytes).toString("base64url"),
  fraction: () => Math.random(),
};
