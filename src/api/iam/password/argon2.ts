import { argon2, timingSafeEqual } from "node:crypto";
import { promisify } from "node:util";

/** The minimum that OWASP recommends. */
export const COST = { memory: 19_456, passes: 2, parallelism: 1 };
const HASH_BYTES = 32;
const PHC = /^\$argon2id\$v=19\$m=(\d+),t=(\d+),p=(\d+)\$([A-Za-z0-9+/]{22})\$([A-Za-z0-9+/]{43})$/;

interface Cost {
  readonly memory: number;
  readonly passes: number;
  readonly parallelism: number;
}

/** Makes 32 bytes of a password and a salt. */
export type Derive = (password: string, salt: Buffer, cost: Cost) => Promise<Buffer>;

const run = promisify(argon2);

/** By argon2id, off the event loop. */
export const deriveByArgon2: Derive = (password, salt, cost) =>
  run("argon2id", { message: password, nonce: salt, tagLength: HASH_BYTES, ...cost });

/** A PHC string. @param salt 16 bytes. */
export async function hashPassword(
  derive: Derive,
  password: string,
  salt: Buffer,
  cost: Cost = COST,
): Promise<string> {
  const hash = await derive(normal(password), salt, cost);
  const { memory, passes, parallelism } = cost;
  return `$argon2id$v=19$m=${memory},t=${passes},p=${parallelism}$${base64(salt)}$${base64(hash)}`;
}

/** Takes the same time for every password. @throws Error for a text that is not a PHC string of argon2id. */
export async function isPasswordOf(
  derive: Derive,
  password: string,
  phc: string,
): Promise<boolean> {
  const { cost, salt, hash } = parse(phc);
  return timingSafeEqual(await derive(normal(password), salt, cost), hash);
}

/** Whether a hash costs less than those that are made today. */
export function isCheap(phc: string): boolean {
  const { memory, passes } = parse(phc).cost;
  return memory < COST.memory || passes < COST.passes;
}

function parse(phc: string) {
  const [, memory, passes, parallelism, salt = "", hash = ""] = PHC.exec(phc) ?? [];
  if (memory === undefined) throw new Error("the hash of a password is damaged");
  return {
    cost: { memory: Number(memory), passes: Number(passes), parallelism: Number(parallelism) },
    salt: Buffer.from(salt, "base64"),
    hash: Buffer.from(hash, "base64"),
  };
}

/** Some keyboards write a letter as two characters, which look like one. */
function normal(password: string): string {
  return password.normalize("NFC");
}

function base64(bytes: Buffer): string {
  return bytes.toString("base64").replaceAll("=", "");
}
