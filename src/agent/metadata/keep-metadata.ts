import type { NetworkDriver } from "../../driver/network/network-driver.ts";
import { type Keeping, keepDoing } from "../keep-doing.ts";
import { type AnswerParts, newAnswerMetadata } from "./answer.ts";

export interface MetadataOptions extends Keeping, AnswerParts {
  readonly network: Pick<NetworkDriver, "keepMetadata">;
}

const INTERVAL_MS = 5_000;
const FAILURE = "guests may not reach metadata";

/** Answers guests that ask who they are, until `signal` aborts. Without the agent nobody answers. */
export async function keepMetadata(options: MetadataOptions): Promise<void> {
  const { network, log, signal } = options;
  const answer = newAnswerMetadata(options);
  let isFirst = true;
  await keepDoing(options, INTERVAL_MS, FAILURE, async () => {
    const networks = await network.keepMetadata(answer, signal);
    // After its start it listens in all that are there.
    if (networks.length > 0 && !isFirst) log.info("listens for guests again", { networks });
    isFirst = false;
  });
  await network.keepMetadata(undefined, new AbortController().signal);
}
