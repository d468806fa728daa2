import { randomInt } from "node:crypto";
import { createServer } from "node:net";

const REMEMBERED = 100;
/** The ports of late: whoever asked for one may not listen there yet. */
const given: number[] = [];

/**
 * A port of loopback where nobody listens, another one each time. It is below those of outgoing connections and
 * of servers that let the kernel choose: one of them would take it before it is used.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(21_000, 32_000);
    if (given.includes(port)) continue;
    given.push(port);
    given.splice(0, given.length - REMEMBERED);
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const server = createServer().on("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
    if (await promise) return port;
  }
}
