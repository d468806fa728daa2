import type { IncomingHttpHeaders } from "node:http";

/** The longest delay that a server may ask for. */
const RETRY_AFTER_MAX_MS = 3_600_000;
/** Two times of a server that are this far apart count as times of the same clock. RFC 7232, section 2.2.2. */
const STRONG_DATE_MS = 60_000;

/**
 * `Retry-After` (RFC 9110, section 10.2.3), seconds or a date, in milliseconds; undefined if missing or not
 * valid.
 */
export function retryAfterMs(
  { "retry-after": text = "" }: IncomingHttpHeaders,
  nowMs: number,
): number | undefined {
  const value = text.trim();
  const ms = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - nowMs;
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(ms, 0), RETRY_AFTER_MAX_MS);
}

/** `Content-Length`. Node checks that it is true. */
export function contentLength({
  "content-length": text = "",
}: IncomingHttpHeaders): bigint | undefined {
  return /^\d+$/.test(text) ? BigInt(text) : undefined;
}

export interface ContentRange {
  readonly first: bigint;
  /** Inclusive. */
  readonly last: bigint;
  /** Undefined if the server does not know it. */
  readonly totalBytes: bigint | undefined;
}

/** `Content-Range` of a part (RFC 9110, section 14.4); undefined if missing or not valid. */
export function contentRange({
  "content-range": text = "",
}: IncomingHttpHeaders): ContentRange | undefined {
  const [, a, b, total] = /^bytes (\d+)-(\d+)\/(\d+|\*)$/i.exec(text.trim()) ?? [];
  if (a === undefined || b === undefined || total === undefined) return undefined;
  const [first, last] = [BigInt(a), BigInt(b)];
  const totalBytes = total === "*" ? undefined : BigInt(total);
  if (last < first || (totalBytes !== undefined && last >= totalBytes)) return undefined;
  return { first, last, totalBytes };
}

/**
 * The value for `If-Range` to get the rest of these very bytes: a strong `ETag`, or else a strong
 * `Last-Modified` (RFC 9110, sections 13.1.5 and 8.8.2.2). Undefined if nothing tells two versions apart.
 */
export function strongValidator(headers: IncomingHttpHeaders): string | undefined {
  const { etag, date = "", "last-modified": modified = "" } = headers;
  // With an ETag the date must not be used, even if the ETag is weak.
  if (etag !== undefined) return /^"[^"]*"$/.test(etag) ? etag : undefined;
  return Date.parse(date) - Date.parse(modified) >= STRONG_DATE_MS ? modified : undefined;
}

/**
 * Whether a part belongs to the file with this validator. If the server matched a date, it need not repeat it.
 */
export function hasValidator(headers: IncomingHttpHeaders, validator: string): boolean {
  if (validator.startsWith('"')) return headers.etag === validator;
  const { "last-modified": modified = validator } = headers;
  return modified === validator && headers.etag === undefined;
}

/** Whether the server says that it serves no ranges. It need not say that it does. RFC 9110, section 14.3. */
export function refusesRanges({ "accept-ranges": text = "" }: IncomingHttpHeaders): boolean {
  return text.trim().toLowerCase() === "none";
}

/** The encodings of the bytes, in the order in which they were applied, without those that mean none. */
export function contentEncodings({ "content-encoding": text = "" }: IncomingHttpHeaders): string[] {
  return text
    .toLowerCase()
    .split(",")
    .map((encoding) => encoding.trim())
    .filter((encoding) => !["", "identity", "aws-chunked"].includes(encoding));
}
