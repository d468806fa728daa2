export interface ByteRange {
  readonly firstByte: bigint;
  readonly lengthBytes: bigint;
}

/**
 * One range of a `range` header (RFC 9110, section 14.1.2). Undefined, which means the whole, without a range,
 * for several ranges, and for a header that is not valid: a server may ignore it.
 */
export function parseRange(
  header: string | undefined,
  totalBytes: bigint,
): ByteRange | "unsatisfiable" | undefined {
  const match = /^bytes=(\d{0,18})-(\d{0,18})$/.exec(header?.trim() ?? "");
  if (match === null) return undefined;
  const [, first = "", last = ""] = match;
  if (first === "" && last === "") return undefined;
  if (first === "") {
    const suffixBytes = smaller(BigInt(last), totalBytes);
    if (suffixBytes === 0n) return "unsatisfiable";
    return { firstByte: totalBytes - suffixBytes, lengthBytes: suffixBytes };
  }
  const firstByte = BigInt(first);
  const lastByte = last === "" ? totalBytes - 1n : smaller(BigInt(last), totalBytes - 1n);
  if (last !== "" && BigInt(last) < firstByte) return undefined;
  if (firstByte >= totalBytes) return "unsatisfiable";
  return { firstByte, lengthBytes: lastByte - firstByte + 1n };
}

function smaller(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}
