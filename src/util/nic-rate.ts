import { invalid } from "./errors.ts";

const BITS_PER_SECOND_MIN = 64_000n;
const BITS_PER_SECOND_MAX = 1_000_000_000_000n;
/** One packet of the largest sort, which guests and the kernel pass on in one piece. */
const BURST_BYTES_MIN = 64n << 10n;
const BURST_BYTES_MAX = 1n << 30n;
const BURST_BYTES_DEFAULT = 256n << 10n;

/** A limit of one direction of a nic. */
export interface NicRate {
  readonly bitsPerSecond: bigint;
  /** What may pass at once after a pause, in addition to that of one second; 0 for the default. */
  readonly burstBytes: bigint;
}

/**
 * Checks a limit. `bitsPerSecond` 0 is none.
 *
 * @param prefix What the names of its fields begin with, such as `nics[0].ingress_`.
 * @throws N0Error `invalid_argument` that names the field.
 */
export function checkNicRate(prefix: string, { bitsPerSecond, burstBytes }: NicRate): void {
  const field = `${prefix}burst_bytes`;
  if (bitsPerSecond === 0n) {
    if (burstBytes === 0n) return;
    throw invalid(field, `needs ${prefix}bits_per_second: without it there is no limit`);
  }
  if (bitsPerSecond < BITS_PER_SECOND_MIN || bitsPerSecond > BITS_PER_SECOND_MAX) {
    const range = `from ${BITS_PER_SECOND_MIN} to ${BITS_PER_SECOND_MAX}`;
    throw invalid(`${prefix}bits_per_second`, `must be 0 for no limit, or ${range}`);
  }
  if (burstBytes === 0n) return;
  if (burstBytes < BURST_BYTES_MIN || burstBytes > BURST_BYTES_MAX) {
    const range = `from ${BURST_BYTES_MIN} to ${BURST_BYTES_MAX}`;
    throw invalid(field, `must be 0 for the default, or ${range}`);
  }
}

/** The burst that counts. */
export function burstBytesOf({ burstBytes }: NicRate): bigint {
  return burstBytes === 0n ? BURST_BYTES_DEFAULT : burstBytes;
}
