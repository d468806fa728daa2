import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { isAbsent } from "../../src/util/errno.ts";
import { N0Error } from "../../src/util/errors.ts";
import { parseSshPublicKey } from "../../src/util/ssh-key.ts";
import type { CliContext } from "../context.ts";
import { CliError } from "../errors.ts";

/** The names that ssh tries by itself, in its order of today. */
const OWN = ["id_ed25519", "id_ecdsa", "id_rsa"];

export interface Keys {
  readonly keys: readonly string[];
  /** The private key, if ssh does not find it by itself. */
  readonly identity: string | undefined;
}

/** The public keys that may log in: those of ~/.ssh for `me`, or the one of a key file. */
export async function publicKeys(cli: CliContext, wanted: string): Promise<Keys> {
  if (wanted !== "me") {
    const identity = wanted.replace(/\.pub$/, "");
    const text = await keyIn(`${identity}.pub`);
    if (text !== undefined) return { keys: [text], identity };
    const flag = `--ssh-key: ${identity}.pub does not exist`;
    throw new CliError(`${flag}: name a key file, or leave it out for the keys of ~/.ssh`);
  }
  const folder = join(cli.io.homeFolder, ".ssh");
  const found = await Promise.all(OWN.map((name) => keyIn(join(folder, `${name}.pub`))));
  const keys = found.filter((key) => key !== undefined);
  if (keys.length > 0) return { keys, identity: undefined };
  throw new CliError(
    `${folder} has no public key, so nobody could log in: make one with ssh-keygen -t ed25519, or name a key file with --ssh-key`,
  );
}

async function keyIn(path: string): Promise<string | undefined> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (reason) {
    if (isAbsent(reason)) return undefined;
    throw new CliError(`cannot read ${path}`, undefined, reason);
  }
  try {
    return parseSshPublicKey(path, text);
  } catch (reason) {
    if (!(reason instanceof N0Error)) throw reason;
    throw new CliError(reason.message, undefined, reason);
  }
}
