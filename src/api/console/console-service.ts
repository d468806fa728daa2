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
import { formatRef, nameOnNode, type Ref } from "../../util/ref.ts";
import { refOf } from "../core/scope.ts";
import { virtualMachines } from "../provisioning/virtual-machine/collection.ts";
import type { ConsoleTarget, FindConsole } from "./console-target.ts";
import { Visit } from "./visit.ts";

/** The console RPCs. They pass on what the agent of the virtual machine's node sends. */
export function consoleRoutes(router: ConnectRouter, find: FindConsole, log: Log): void {
  const visit = (call: HandlerContext, console: string, ref: Ref, target: ConsoleTarget) => {
    const { uuid, nodeName: node } = target;
    const name = nameOnNode(ref);
    return new Visit(log, "console", { console, name, uuid, node, peer: peerOf(call.values) });
  };

  router.service(ConsoleService, {
    async *readSerialLog({ virtualMachineName, follow }, call) {
      const ref = refOf(call, virtualMachines, virtualMachineName);
      const name = nameOnNode(ref);
      const target = await find(ref);
      using visited = visit(call, "serial log", ref, target);
      const messages = onNodeStream(target.nodeName, () =>
        target.compute.readSerialLog({ name, follow }, { signal: call.signal }),
      );
      yield* toClient(visited, messages);
    },

    async *attachSerial(requests: AsyncIterable<AttachSerialRequest>, call: HandlerContext) {
      const { first, others } = await takeFirst(requests);
      const ref = named(call, first);
      const name = nameOnNode(ref);
      const target = await find(ref);
      using visited = visit(call, "serial", ref, target);
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
      const ref = named(call, first);
      const target = await find(ref);
      const { network, address } = chooseAddress(ref, target, first.address);
      const networkName = nameOnNode(network);
      using visited = visit(call, `forward to ${address} port ${port}`, ref, target);
      const sent = withData(visited, { networkName, address, port, data: first.data }, others);
      const messages = onNodeStream(target.nodeName, () =>
        target.network.connect(sent, { signal: call.signal }),
      );
      yield* toClient(visited, messages);
    },
  });
}

/** Only the guest's own addresses: this leads into one virtual machine, not into its network. */
function chooseAddress(ref: Ref, { addresses }: ConsoleTarget, asked: string) {
  const resource = formatRef(ref);
  const [first] = addresses;
  if (first === undefined) {
    throw new N0Error("failed_precondition", `virtual machine "${ref.name}" has no address`, {
      resource,
    });
  }
  const chosen = asked === "" ? first : addresses.find(({ address }) => address === asked);
  if (chosen !== undefined) return chosen;
  const own = addresses.map(({ address }) => address).join(", ");
  throw new N0Error(
    "invalid_argument",
    `address: virtual machine "${ref.name}" does not have it; it has ${own}`,
    { resource, field: "address" },
  );
}

/** The virtual machine that the first message of a stream names. */
function named(call: HandlerContext, first: { readonly virtualMachineName: string }): Ref {
  const { virtualMachineName: name } = first;
  if (name === "") throw invalid("virtual_machine_name", "must be set in the first message");
  return refOf(call, virtualMachines, name);
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
