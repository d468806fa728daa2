import type { Duplex } from "node:stream";
import type { HandlerContext } from "@connectrpc/connect";
import type {
  OpenSerialRequest,
  OpenVncRequest,
} from "../../gen/n0stack/agent/v1alpha1/compute_pb.ts";
import { invalid } from "../../util/errors.ts";
import type { AgentDeps } from "../agent-deps.ts";
import { dataOf, pipe, takeFirst } from "../pipe.ts";
import type { ComputePart } from "./part.ts";

/** The screen and the serial console of a guest. */
export function consoleRoutes({
  compute,
}: Pick<AgentDeps, "compute">): ComputePart<"openVnc" | "openSerial" | "readSerialLog"> {
  return {
    openVnc(requests: AsyncIterable<OpenVncRequest>, { signal }: HandlerContext) {
      return openDomain(requests, (name) => compute.openVnc(name), signal);
    },

    openSerial(requests: AsyncIterable<OpenSerialRequest>, { signal }: HandlerContext) {
      return openDomain(requests, (name) => compute.openSerial(name), signal);
    },

    async *readSerialLog({ name, follow }, { signal }) {
      for await (const data of compute.readSerialLog(name, follow, signal)) yield { data };
    },
  };
}

async function* openDomain(
  requests: AsyncIterable<OpenVncRequest | OpenSerialRequest>,
  open: (name: string) => Promise<Duplex>,
  signal: AbortSignal,
) {
  const { first, others } = await takeFirst(requests);
  if (first.name === "") throw invalid("name", "must be set in the first message");
  const connection = await open(first.name);
  for await (const data of pipe(dataOf(first, others), connection, signal)) yield { data };
}
