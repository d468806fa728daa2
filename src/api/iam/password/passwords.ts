import type { Clock } from "../../../util/clock.ts";
import type { Random } from "../../../util/random.ts";
import { formatRef, type Ref } from "../../../util/ref.ts";
import { COST, type Derive, deriveByArgon2, hashPassword, isPasswordOf } from "./argon2.ts";
import { Hashing } from "./hashing.ts";
import { PasswordTries } from "./tries.ts";

const SALT_BYTES = 16;
/** A hash that no password has. To compare with it costs as much as with any other. */
const NOBODYS = `$argon2id$v=19$m=${COST.memory},t=${COST.passes},p=${COST.parallelism}$${"A".repeat(22)}$${"A".repeat(43)}`;

export interface PasswordsOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** Default: argon2id. */
  readonly derivePassword?: Derive;
}

/** A password that somebody sends for a user. */
interface Given {
  readonly user: Ref;
  readonly password: string;
  /** The address from which it comes. */
  readonly peer: string;
}

/** Hashes and checks passwords. Nothing here is written. */
export class Passwords {
  readonly #random: Random;
  readonly #derive: Derive;
  readonly #tries: PasswordTries;
  readonly #hashing = new Hashing();

  constructor({ clock, random, derivePassword = deriveByArgon2 }: PasswordsOptions) {
    this.#random = random;
    this.#derive = derivePassword;
    this.#tries = new PasswordTries(clock);
  }

  /** @throws N0Error `resource_exhausted`. */
  async hash(password: string): Promise<string> {
    const salt = Buffer.from(this.#random.token(SALT_BYTES), "base64url").subarray(0, SALT_BYTES);
    return await this.#hashing.run(() => hashPassword(this.#derive, password, salt));
  }

  /**
   * Whether it is the password of the hash. Takes the same time if there is none.
   *
   * @throws N0Error `resource_exhausted` after too many wrong ones.
   */
  async check({ user, password, peer }: Given, hash: string | undefined): Promise<boolean> {
    const tried = this.#tries.begin(formatRef(user), peer);
    try {
      const isEqual = await this.#hashing.run(() =>
        isPasswordOf(this.#derive, password, hash ?? NOBODYS),
      );
      const isRight = isEqual && hash !== undefined;
      if (isRight) tried.succeeded();
      return isRight;
    } catch (reason) {
      tried.takeBack();
      throw reason;
    }
  }
}
