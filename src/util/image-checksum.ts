import { invalid } from "./errors.ts";

/** The digest that the bytes of an image must have. */
export interface ImageChecksum {
  readonly algorithm: "sha256" | "sha512";
  /** In lower case. */
  readonly hex: string;
}

/** `sha256:<64 hex digits>` or `sha512:<128 hex digits>`. @throws N0Error `invalid_argument`. */
export function parseChecksum(text: string): ImageChecksum {
  const [, sha256, sha512] =
    /^(?:sha256:([0-9a-fA-F]{64})|sha512:([0-9a-fA-F]{128}))$/.exec(text) ?? [];
  if (sha256 !== undefined) return { algorithm: "sha256", hex: sha256.toLowerCase() };
  if (sha512 !== undefined) return { algorithm: "sha512", hex: sha512.toLowerCase() };
  throw invalid("checksum", "must be sha256:<64 hex digits> or sha512:<128 hex digits>");
}
