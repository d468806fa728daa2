import { createClient } from "@connectrpc/connect";
import { ComputeAgentService } from "../../gen/n0stack/agent/v1alpha1/compute_pb.ts";
import { NetworkAgentService } from "../../gen/n0stack/agent/v1alpha1/network_pb.ts";
import { VolumeAgentService } from "../../gen/n0stack/agent/v1alpha1/volume_pb.ts";
import type { Listener } from "../../rpc/listen.ts";
import { listen } from "../../rpc/listen.ts";
import { openTransport } from "../../rpc/transport.ts";
import { N0Error } from "../../util/errors.ts";
import { silentLog } from "../../util/log.ts";
import type { Ref } from "../../util/ref.ts";
import { networkBeside } from "../network/network/collection.ts";
import type { VolumeTarget } from "../provisioning/block-storage/volume/open-volume.ts";
import type { ConsoleTarget } from "./console-target.ts";

/** The content of a volume of the agent below. */
export const VOLUME_BYTES = Uint8Array.from({ length: 1000 }, (_, i) => i % 251);

const READ_BYTES = 300;

export interface TestAgent extends AsyncDisposable {
  /** Identifies the bytes of the volume. When it changes, running readings fail. */
  validator: string;
  /** Called before each message. Readings and their messages count from 1. */
  beforeMessage: (reading: number, message: number) => void;
  /** How often the volume was read. */
  readings: number;
  findConsole(ref: Ref): Promise<ConsoleTarget>;
  findVolume(ref: Ref): Promise<VolumeTarget>;
  /** The streams that are open now. */
  openStreams(): number;
}

/**
 * An agent on a real socket, with the virtual machine `web`, whose screen and serial console send back what
 * they receive, after the name by which they were opened, and with the block storage `disk`. The virtual
 * machine `broken` has an agent that fails. Nothing else exists.
 */
export async function startTestAgent(): Promise<TestAgent> {
  let open = 0;
  async function* echo(requests: AsyncIterable<{ name: string; data: Uint8Array }>) {
    open += 1;
    try {
      for await (const { name, data } of requests) {
        if (name === "broken") throw new N0Error("failed_precondition", "the domain is shut off");
        if (name !== "") yield { data: new Uint8Array(0) };
        yield { data: name === "" ? data : new TextEncoder().encode(name) };
      }
    } finally {
      open -= 1;
    }
  }
  const listener = await listen({
    host: "127.0.0.1",
    port: 0,
    log: silentLog,
    routes: (router) => {
      router.service(ComputeAgentService, {
        openVnc: echo,
        openSerial: echo,
        async *readSerialLog({ name, follow }) {
          yield { data: new TextEncoder().encode(`${name} ${follow}`) };
        },
      });
      router.service(NetworkAgentService, {
        async *connect(requests) {
          for await (const { networkName, address, port, data } of requests) {
            const text = networkName === "" ? "" : `${networkName} ${address} ${port} `;
            yield { data: Buffer.concat([Buffer.from(text), data]) };
          }
        },
      });
      router.service(VolumeAgentService, {
        async *readVolume({ offset, length }) {
          agent.readings += 1;
          const reading = agent.readings;
          let message = 1;
          agent.beforeMessage(reading, message);
          const { validator } = agent;
          yield { totalBytes: BigInt(VOLUME_BYTES.length), validator };
          const end = length === 0n ? VOLUME_BYTES.length : Number(offset + length);
          const bytes = VOLUME_BYTES.subarray(Number(offset), end);
          for (let i = 0; i < bytes.length; i += READ_BYTES) {
            message += 1;
            agent.beforeMessage(reading, message);
            if (agent.validator !== validator) throw new N0Error("aborted", "the volume changed");
            yield { data: bytes.subarray(i, i + READ_BYTES) };
          }
        },
      });
    },
  });
  const agent: TestAgent = {
    ...finders(listener),
    validator: "v1",
    beforeMessage: () => {},
    readings: 0,
    openStreams: () => open,
  };
  return agent;
}

function finders(listener: Listener) {
  const transport = openTransport(listener.url, 1);
  const missing = (kind: string, name: string) =>
    new N0Error("not_found", `${kind} "${name}" does not exist`);
  return {
    findConsole: async (ref: Ref) => {
      const { name } = ref;
      if (name !== "web" && name !== "broken") throw missing("virtual machine", name);
      return {
        uuid: `uuid-of-${name}`,
        incarnation: `uuid-of-${name}@1`,
        nodeName: "n1",
        compute: createClient(ComputeAgentService, transport),
        network: createClient(NetworkAgentService, transport),
        addresses:
          name === "web" ? [{ network: networkBeside(ref, "net"), address: "10.0.0.1" }] : [],
      };
    },
    findVolume: async ({ name }: Ref) => {
      if (name !== "disk") throw missing("block storage", name);
      const volume = createClient(VolumeAgentService, transport);
      return { nodeName: "n1", volume, volumeId: "disk-1" };
    },
    [Symbol.asyncDispose]: async () => {
      transport.close();
      await listener.stop(0);
    },
  };
}
