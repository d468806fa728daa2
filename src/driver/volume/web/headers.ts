import type { IncomingHttpHeaders } from "node:http";

/** No server is believed that it will be back much later than this. */
const RETRY_AFTER_MAX_MS = 3_600_000;
/** From this far apart on, two times of a server's count as of the same clock. RFC 7232, section 2.2.2. */
const STRONG_DATE_MS = 60_000;

/** `Retry-After` (RFC 9110, section 10.2.3), seconds or a date, in milliseconds; undefined without a good one. */
export function retryAfterMs(
  { "retry-after": text = "" }: IncomingHttpHeaders,
  nowMs: number,
): number | undefined {
  const value = text.trim();
  const ms = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - nowMs;
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(ms, 0), RETRY_AFTER_MAX_MS);
}

/** `Content-Length`, of which Node takes care that it is true. */
export function contentLength({
  "content-length": text = "",
}: IncomingHttpHeaders): bigint | undefined {
  return /^\d+$/.test(text) ? BigInt(text) : undefined;
}

export interface ContentRange {
  readonly first: bigint;
  /** Inclusive. */
  readonly last: bigint;
  /** Undefined where the server does not know it. */
  readonly totalBytes: bigint | undefined;
}

/** `Content-Range` of a part (RFC 9110, section 14.4); undefined for none, or one that makes no sense. */
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
 * What to send as `If-Range` to get the rest of these very bytes: a strong `ETag`, or else a `Last-Modified`
 * that is strong (RFC 9110, sections 13.1.5 and 8.8.2.2). Undefined where nothing tells two versions apart.
 */
export function strongValidator(headers: IncomingHttpHeaders): string | undefined {
  const { etag, date = "", "last-modified": modified = "" } = headers;
  // With an ETag the date must not be used, also where the ETag is weak.
  if (etag !== undefined) return /^"[^"]*"$/.test(etag) ? etag : undefined;
  return Date.parse(date) - Date.parse(modified) >= STRONG_DATE_MS ? modified : undefined;
}

/** Whether a part is of what had this validator. Beside a date that matched, the date need not be repeated. */
export function hasValidator(headers: IncomingHttpHeaders, validator: string): boolean {
  if (validator.startsWith('"')) return headers.etag === validator;
  const { "last-modified": modified = validator } = headers;
  return modified === validator && headers.etag === undefined;
}

/** Whether it has said that it serves no ranges. That it does need not be said. RFC 9110, section 14.3. */
export function refusesRanges({ "accept-ranges": text = "" }: IncomingHttpHeaders): boolean {
  return text.trim().toLowerCase() === "none";
}

/** What the bytes are encoded with, first one first, without what stands for nothing. */
export function contentEncodings({ "content-encoding": text = "" }: IncomingHttpHeaders): string[] {
  return text
    .toLowerCase()
    .split(",")
    .map((encoding) => encoding.trim())
    .filter((encoding) => !["", "identity", "aws-chunked"].includes(encoding));
}
