import { N0Error } from "./errors.ts";
import { quote } from "./quote.ts";

const FACTORS: Readonly<Record<string, bigint>> = {
  "": 1n,
  k: 1000n,
  M: 1000n ** 2n,
  G: 1000n ** 3n,
  T: 1000n ** 4n,
};
const RATE = /^(\d{1,20})(?:\.(\d{1,12}))? ?([kKMGT]?)(?:bit|bit\/s|bps)?$/;
/** The largest uint64. */
const MAX = (1n << 64n) - 1n;

/**
 * Parses bits per second as people write them: `10000000`, `10M`, `10Mbit`, `1.5 Gbit/s`; 1000-based.
 *
 * @throws N0Error `invalid_argument` for any other text.
 */
export function parseBitRate(text: string): bigint {
  const match = RATE.exec(text);
  if (match === null) throw noRate(text);
  const [, whole = "", fraction = "", unit = ""] = match;
  const factor = FACTORS[unit === "K" ? "k" : unit] ?? 1n;
  const scaled = BigInt(whole + fraction) * factor;
  const scale = 10n ** BigInt(fraction.length);
  const rate = scaled / scale;
  if (scaled % scale !== 0n || rate > MAX) throw noRate(text);
  return rate;
}

function noRate(text: string): N0Error {
  const message = `${quote(text)} is not a rate: write bits per second, such as 10M or 1.5Gbit`;
  return new N0Error("invalid_argument", message);
}
