import { invalid } from "../../../util/errors.ts";

export interface Sizes {
  readonly requestBytes: bigint;
  /** 0: as `requestBytes`. */
  readonly limitBytes: bigint;
}

/** A limit that is not given is what is requested. */
export function limitOf({ requestBytes, limitBytes }: Sizes): bigint {
  return limitBytes === 0n ? requestBytes : limitBytes;
}

const MILLION = 1_000_000n;

/**
 * Of a limit that `limitOf` has filled in. What a disk requests is what it counts for on its node, and
 * `requestRatioMin` how much of its limit that must be at least.
 *
 * @throws N0Error `invalid_argument`.
 */
export function checkSizes({ requestBytes, limitBytes }: Sizes, requestRatioMin: number): void {
  if (requestBytes === 0n) throw invalid("request_bytes", "must be more than 0");
  if (limitBytes < requestBytes) {
    throw invalid("limit_bytes", `must not be below request_bytes, which is ${requestBytes}`);
  }
  const millionths = BigInt(Math.round(requestRatioMin * Number(MILLION)));
  const leastBytes = (limitBytes * millionths + MILLION - 1n) / MILLION;
  if (requestBytes < leastBytes) {
    throw invalid(
      "request_bytes",
      `must be at least ${leastBytes}, which is ${requestRatioMin} of limit_bytes ` +
        "(the API's setting storage-request-ratio-min)",
    );
  }
}
