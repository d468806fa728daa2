/** The headers of a request that make it conditional (RFC 9110, section 13.1). */
export interface ConditionHeaders {
  readonly "if-match"?: string | undefined;
  readonly "if-none-match"?: string | undefined;
  readonly "if-range"?: string | undefined;
}

/**
 * The status of a GET or HEAD whose conditions do not fit the content with the strong `etag`: 412 or 304.
 * Undefined if they fit. There are no modification dates, so conditions with dates are ignored, as section
 * 13.2.2 requires.
 */
export function unmetCondition(
  { "if-match": match, "if-none-match": noneMatch }: ConditionHeaders,
  etag: string,
): 412 | 304 | undefined {
  if (match !== undefined && !isAny(match) && !tagsOf(match).includes(etag)) return 412;
  if (noneMatch === undefined) return undefined;
  // A weak tag is enough here (section 13.1.2): it shows whether a copy is still usable.
  const tags = tagsOf(noneMatch).map((tag) => tag.replace(/^W\//, ""));
  return isAny(noneMatch) || tags.includes(etag) ? 304 : undefined;
}

/** Whether a range may be sent: without the header, or for this very content (section 13.1.5). */
export function isRangeMeant({ "if-range": ifRange }: ConditionHeaders, etag: string): boolean {
  return ifRange === undefined || ifRange.trim() === etag;
}

function isAny(header: string): boolean {
  return header.trim() === "*";
}

/** Entity tags may contain commas, so this searches the list instead of splitting it (section 8.8.3). */
function tagsOf(header: string): string[] {
  return header.match(/(?:W\/)?"[\x21\x23-\x7e\x80-\xff]*"/g) ?? [];
}
