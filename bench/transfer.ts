import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { Ends } from "./across-nodes.ts";

export type Work =
  | { readonly kind: "bytes"; readonly bytes: number }
  /** One byte there and one back, so many times. */
  | { readonly kind: "turns"; readonly turns: number };

export type TransferOrder =
  | { readonly work: Work; readonly listen: true }
  | { readonly work: Work; readonly connect: { readonly address: string; readonly port: number } };

/** The milliseconds that the work takes over one TCP connection between processes in two namespaces. */
export async function transfer({ from, to, address }: Ends, work: Work): Promise<number> {
  await using receiver = start(to, { work, listen: true });
  const port = Number(await receiver.told());
  await using sender = start(from, { work, connect: { address, port } });
  return Number(await sender.told());
}

function start(netns: string, order: TransferOrder) {
  const child = fork(fileURLToPath(new URL("transfer-child.ts", import.meta.url)), [], {
    execPath: "/usr/bin/env",
    execArgv: ["nsenter", `--net=/run/netns/${netns}`, process.execPath],
  });
  const told = once(child, "message");
  const ended = once(child, "exit");
  child.send(order);
  return {
    async told(): Promise<unknown> {
      const early = ended.then(([code]) => Promise.reject(new Error(`it ended with ${code}`)));
      early.catch(() => undefined);
      return (await Promise.race([told, early]))[0];
    },
    async [Symbol.asyncDispose]() {
      if (child.connected) child.disconnect();
      await ended;
    },
  };
}
