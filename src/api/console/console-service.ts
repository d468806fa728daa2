import type { ConnectRouter, HandlerContext } from "@connectrpc/connect";
import type {
  AttachSerialRequest,
  ForwardRequest,
} from "../../gen/n0stack/provisioning/v1alpha1/console_pb.ts";
import { ConsoleService } from "../../gen/n0stack/provisioning/v1alpha1/console_pb.ts";
import { onNodeStream } from "../../rpc/errors.ts";
import { invalid, N0Error } from "../../util/errors.ts";
import type { ConsoleTarget, FindConsole } from "./console-target.ts";

/** The console RPCs: what the agent of the virtual machine's node sends is passed on as it comes. */
export function consoleRoutes(router: ConnectRouter, find: FindConsole): void {
  router.service(ConsoleService, {
    async *readSerialLog({ virtualMachineName: name, follow }, { signal }) {
      const { nodeName, compute } = await find(name);
      const messages = onNodeStream(nodeName, () =>
        compute.readSerialLog({ name, follow }, { signal }),
      );
      for await (const { data } of messages) yield { data };
    },

    async *attachSerial(requests: AsyncIterable<AttachSerialRequest>, { signal }: HandlerContext) {
      const { first, others } = await takeFirst(requests);
      const name = required("virtual_machine_name", first.virtualMachineName);
      const { nodeName, compute } = await find(name);
      const sent = withData({ name, data: first.data }, others);
      const messages = onNodeStream(nodeName, () => compute.openSerial(sent, { signal }));
      for await (const { data } of messages) yield { data };
    },

    async *forward(requests: AsyncIterable<ForwardRequest>, { signal }: HandlerContext) {
      const { first, others } = await takeFirst(requests);
      const { port } = first;
      if (port === 0) throw invalid("port", "must be set in the first message");
      const name = required("virtual_machine_name", first.virtualMachineName);
      const target = await find(name);
      const { networkName, address } = chooseAddress(name, target, first.address);
      const sent = withData({ networkName, address, port, data: first.data }, others);
      const messages = onNodeStream(target.nodeName, () =>
        target.network.connect(sent, { signal }),
      );
      for await (const { data } of messages) yield { data };
    },
  });
}

/** Only the guest's own addresses: this is a way into one virtual machine, not into its network. */
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

async function* withData<T>(
  first: T,
  others: AsyncIterable<{ readonly data: Uint8Array }>,
): AsyncGenerator<T | { readonly data: Uint8Array }, void> {
  yield first;
  for await (const { data } of others) yield { data };
}
