import { createHash } from "node:crypto";
import { createServer } from "node:net";
import { errorCode } from "../../src/util/errno.ts";
import { Failure } from "../run-program.ts";

/**
 * Makes sure that only one program changes the lab of this folder. The lock is a name in the kernel (an abstract
 * socket), so it ends with its holder, however that ends.
 *
 * @throws Failure if another program has it.
 */
export async function lockLab(folder: string): Promise<AsyncDisposable> {
  const server = createServer((socket) => socket.destroy());
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject);
  const name = createHash("sha256").update(folder).digest("hex");
  server.listen(`\0n0stack-lab-${name}`, resolve);
  try {
    await promise;
  } catch (error) {
    if (errorCode(error) !== "EADDRINUSE") throw error;
    throw new Failure(`another npm run lab changes the lab in ${folder}; wait until it ends`);
  }
  return {
    async [Symbol.asyncDispose]() {
      await new Promise((done) => server.close(done));
    },
  };
}
