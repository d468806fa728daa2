import { invalid } from "../../../util/errors.ts";

export interface Sizes {
  readonly requestBytes: bigint;
  /** 0: the same as `requestBytes`. */
  readonly limitBytes: bigint;
}

/** The fields of every request that makes a block storage. */
export interface MakeRequest extends Sizes {
  readonly name: string;
  readonly annotations: { readonly [key: string]: string };
  /** None, if the request has no such field. */
  readonly labels?: { readonly [key: string]: string };
}

/** The limit, or the request if there is no limit. */
export function limitOf({ requestBytes, limitBytes }: Sizes): bigint {
  return limitBytes === 0n ? requestBytes : limitBytes;
}

const MILLION = 1_000_000n;

/**
 * Checks sizes whose limit `limitOf` has filled in. The request of a block storage is what it counts for on its
 * node; it must be at least `requestRatioMin` of its limit.
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
