import { create } from "@bufbuild/protobuf";
import { ConnectError } from "@connectrpc/connect";
import {
  ConsoleService,
  ForwardRequestSchema,
} from "../../src/gen/n0stack/provisioning/v1alpha1/console_pb.ts";
import { callStream } from "../call.ts";
import type { CliContext } from "../context.ts";
import { CliError } from "../errors.ts";
import { EXIT } from "../exit-code.ts";

const TIMEOUT_MS = 300_000;
const TRY_MS = 5_000;
const PAUSE_MS = 1_000;

/**
 * Waits until an SSH server greets on port 22.
 *
 * @throws CliError after the time of --timeout, or 5 minutes; the error of an interrupt.
 */
export async function waitForSsh(cli: CliContext, names: readonly string[]): Promise<void> {
  const { clock } = cli.io;
  const timeoutMs = cli.flags().timeout ?? TIMEOUT_MS;
  const endMs = clock.monotonicMs() + timeoutMs;
  for (const name of names) {
    cli.say(`---> Waiting until SSH of ${name} answers`);
    while (!(await greets(cli, name))) {
      cli.signal.throwIfAborted();
      if (clock.monotonicMs() >= endMs) throw silent(name, timeoutMs);
      await clock.sleep(PAUSE_MS, cli.signal);
    }
  }
}

function silent(name: string, timeoutMs: number): CliError {
  const look = `n0cli vm log ${name} shows its serial console, n0cli vm console ${name} its screen`;
  return new CliError(
    `SSH of ${name} does not answer after ${Math.round(timeoutMs / 1000)} s. It runs: ${look}`,
    EXIT.timedOut,
  );
}

/** Whether a server on port 22 sends the first line of SSH. */
async function greets(cli: CliContext, name: string): Promise<boolean> {
  const end = new AbortController();
  const signal = AbortSignal.any([cli.signal, end.signal, AbortSignal.timeout(TRY_MS)]);
  const target = { virtualMachineName: name, address: "", port: 22 };
  async function* requests() {
    yield create(ForwardRequestSchema, target);
    // The guest speaks first, so the connection stays open until it has.
    await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
  }
  try {
    let text = "";
    const answers = await callStream(cli, ConsoleService.method.forward, requests(), signal);
    for await (const { data } of answers) {
      text += Buffer.from(data).toString("latin1");
      if (text.length >= 4) break;
    }
    return text.startsWith("SSH-");
  } catch (reason) {
    if (reason instanceof ConnectError) return false;
    throw reason;
  } finally {
    end.abort();
  }
}
