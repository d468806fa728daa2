import type { ConnectRouter, HandlerContext } from "@connectrpc/connect";
import type {
  AttachSerialRequest,
  ForwardRequest,
} from "../../gen/n0stack/provisioning/v1alpha1/console_pb.ts";
import { ConsoleService } from "../../gen/n0stack/provisioning/v1alpha1/console_pb.ts";
import { onNodeStream } from "../../rpc/errors.ts";
import { peerOf } from "../../rpc/peer.ts";
import { invalid, N0Error } from "../../util/errors.ts";
import type { Log } from "../../util/log.ts";
import type { ConsoleTarget, FindConsole } from "./console-target.ts";
import { Visit } from "./visit.ts";

/** The console RPCs. They pass on what the agent of the virtual machine's node sends. */
export function consoleRoutes(router: ConnectRouter, find: FindConsole, log: Log): void {
  const visit = (call: HandlerContext, console: string, name: string, target: ConsoleTarget) => {
    const { uuid, nodeName: node } = target;
    return new Visit(log, "console", { console, name, uuid, node, peer: peerOf(call.values) });
  };

  router.service(ConsoleService, {
    async *readSerialLog({ virtualMachineName: name, follow }, call) {
      const target = await find(name);
      using visited = visit(call, "serial log", name, target);
      const messages = onNodeStream(target.nodeName, () =>
        target.compute.readSerialLog({ name, follow }, { signal: call.signal }),
      );
      yield* toClient(visited, messages);
    },

    async *attachSerial(requests: AsyncIterable<AttachSerialRequest>, call: HandlerContext) {
      const { first, others } = await takeFirst(requests);
      const name = required("virtual_machine_name", first.virtualMachineName);
      const target = await find(name);
      using visited = visit(call, "serial", name, target);
      const sent = withData(visited, { name, data: first.data }, others);
      const messages = onNodeStream(target.nodeName, () =>
        target.compute.openSerial(sent, { signal: call.signal }),
      );
      yield* toClient(visited, messages);
    },

    async *forward(requests: AsyncIterable<ForwardRequest>, call: HandlerContext) {
      const { first, others } = await takeFirst(requests);
      const { port } = first;
      if (port === 0) throw invalid("port", "must be set in the first message");
      const name = required("virtual_machine_name", first.virtualMachineName);
      const target = await find(name);
      const { networkName, address } = chooseAddress(name, target, first.address);
      using visited = visit(call, `forward to ${address} port ${port}`, name, target);
      const sent = withData(visited, { networkName, address, port, data: first.data }, others);
      const messages = onNodeStream(target.nodeName, () =>
        target.network.connect(sent, { signal: call.signal }),
      );
      yield* toClient(visited, messages);
    },
  });
}

/** Only the guest's own addresses: this leads into one virtual machine, not into its network. */
function chooseAddress(name: string, { addresses }: ConsoleTarget, asked: string) {
  const resource = `virtual_machine/${name}`;
  const [first] = addresses;
  if (first === undefined) {
    throw new N0Error("failed_precondition", `virtual machine "${name}" has no address`, {
      resource,
    });
  }
  const chosen = asked === "" ? first : addresses.find(({ address }) => address === asked);
  if (chosen !== undefined) return chosen;
  const own = addresses.map(({ address }) => address).join(", ");
  throw new N0Error(
    "invalid_argument",
    `address: virtual machine "${name}" does not have it; it has ${own}`,
    { resource, field: "address" },
  );
}

function required(field: string, value: string): string {
  if (value === "") throw invalid(field, "must be set in the first message");
  return value;
}

async function takeFirst<T>(requests: AsyncIterable<T>) {
  const iterator = requests[Symbol.asyncIterator]();
  const step = await iterator.next();
  if (step.done === true) {
    throw new N0Error("invalid_argument", "the first message must name the virtual machine");
  }
  return { first: step.value, others: { [Symbol.asyncIterator]: () => iterator } };
}

interface Data {
  readonly data: Uint8Array;
}

async function* withData<T extends Data>(
  visit: Visit,
  first: T,
  others: AsyncIterable<Data>,
): AsyncGenerator<T | Data, void> {
  visit.fromClientBytes += first.data.length;
  yield first;
  for await (const { data } of others) {
    visit.fromClientBytes += data.length;
    yield { data };
  }
}

async function* toClient(visit: Visit, messages: AsyncIterable<Data>): AsyncGenerator<Data, void> {
  for await (const { data } of messages) {
    visit.toClientBytes += data.length;
    yield { data };
  }
}
