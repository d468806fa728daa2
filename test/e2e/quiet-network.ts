import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { until } from "../../src/util/until.ts";
import { must, run, start } from "./program.ts";

export interface QuietNetwork extends AsyncDisposable {
  /** A program that runs Chromium there. */
  readonly chromium: string;
}

/**
 * A network namespace that has only loopback, and in it these servers, each at its own port. Where an interface
 * of its namespace changes, Chromium ends all its requests (ERR_NETWORK_CHANGED), and other tests change those
 * of the node all the time.
 *
 * @param name of the namespace: no other test uses it.
 * @param folder for its files.
 */
export async function newQuietNetwork(
  name: string,
  folder: string,
  urls: readonly string[],
): Promise<QuietNetwork> {
  await using undo = new AsyncDisposableStack();
  const inside = ["netns", "exec", name];
  await must("ip", ["netns", "add", name]);
  undo.defer(async () => void (await run("ip", ["netns", "delete", name])));
  await must("ip", ["-n", name, "link", "set", "lo", "up"]);
  for (const url of urls) {
    const { port } = new URL(url);
    const socket = join(folder, `${port}.sock`);
    const relays = [
      start("socat", [`UNIX-LISTEN:${socket},fork`, `TCP:127.0.0.1:${port}`]),
      start("ip", [
        ...inside,
        ...["socat", `TCP-LISTEN:${port},bind=127.0.0.1,fork`, `UNIX-CONNECT:${socket}`],
      ]),
    ];
    undo.defer(async () => {
      for (const { child } of relays) child.kill();
      await Promise.all(relays.map(({ ended }) => ended));
    });
    const listens = async () =>
      existsSync(socket) && (await must("ip", [...inside, "ss", "-Hltn"])).includes(`:${port}`);
    await until(listens, { what: `${url} is in ${name}`, timeoutMs: 30_000 });
  }
  const chromium = join(folder, "chromium");
  const path = (await must("which", ["chromium"])).trim();
  await writeFile(chromium, `#!/bin/sh\nexec ip ${inside.join(" ")} ${path} "$@"\n`, {
    mode: 0o755,
  });
  const done = undo.move();
  return { chromium, [Symbol.asyncDispose]: () => done.disposeAsync() };
}
