import type { Retriable, Step } from "../../../transaction/step.ts";
import { operation, quick, unlessLost } from "../../core/operation.ts";
import type { SagaContext } from "../context.ts";
import { ownerOf } from "./virtual-machine-record.ts";

/** A nic of a virtual machine, as its node sees it. */
export type Tap = {
  readonly nodeName: string;
  readonly tapName: string;
  /** The virtual machine's name. */
  readonly name: string;
  readonly networkName: string;
  /** With prefix length; empty for none. */
  readonly ipv4Gateway: string;
  readonly ipv6Gateway: string;
};

const leavesTap = ({ tapName, name, networkName, nodeName }: Tap) =>
  `the tap "${tapName}" of virtual machine "${name}" on node "${nodeName}", perhaps in network "${networkName}"`;

const removeTap = (onlyOfTransaction: boolean) =>
  unlessLost<Tap, SagaContext>(async ({ api }, { nodeName, tapName, networkName, name }, scope) => {
    const request = {
      operation: operation(ownerOf(name), scope),
      tapName,
      networkName,
      onlyOfTransaction,
    };
    await api.agents.get(nodeName).network((c) => c.ensureTapAbsent(request, quick(scope)));
  });

/**
 * Makes the tap where a domain can open it. One that the same virtual machine had before is replaced, at a
 * boot and also where it is left over from another transaction: no domain has it open, for a domain of
 * that name was refused by the step of the seed, which comes first.
 */
export const makeTap: Step<SagaContext, Tap> = {
  name: "network.make_tap",
  async act({ api }, { nodeName, tapName, name }, scope) {
    const request = { operation: operation(ownerOf(name), scope), tapName };
    await api.agents.get(nodeName).network((c) => c.ensureTap(request, quick(scope)));
  },
  undo: removeTap(true),
  leaves: leavesTap,
};

/** Moves the tap of a started domain into its network, which comes to the node with its first tap. */
export const attachTap: Step<SagaContext, Tap> = {
  name: "network.attach_tap",
  async act({ api }, tap, scope) {
    const { nodeName, tapName, name, networkName, ipv4Gateway, ipv6Gateway } = tap;
    const request = {
      operation: operation(ownerOf(name), scope),
      tapName,
      network: { name: networkName, ipv4Gateway, ipv6Gateway },
    };
    await api.agents.get(nodeName).network((c) => c.ensureTapAttached(request, quick(scope)));
  },
  // The undo of making the tap removes it, wherever it is by then, and the network with its last tap;
  // it runs when the domain that has it open is gone.
  undo: async () => {},
};

/**
 * After the pivot: the tap goes, and the network from the node with its last one. One that is gone already,
 * or is another's, is success, so nothing of it can refuse that.
 */
export const removeTapLater: Retriable<SagaContext, Tap> = {
  name: "network.remove_tap",
  act: removeTap(false),
  leaves: leavesTap,
};

/** A repair: moves the tap into its network, wherever it is, and connects it. */
export const moveTap: Retriable<SagaContext, Tap> = {
  name: "network.move_tap",
  act: unlessLost(async ({ api }, { nodeName, tapName, name, networkName, ...gateways }, scope) => {
    const request = {
      operation: operation(ownerOf(name), scope),
      tapName,
      network: { name: networkName, ...gateways },
    };
    await api.agents.get(nodeName).survey((c) => c.ensureTapMoved(request, quick(scope)));
  }),
  leaves: ({ tapName, nodeName }) => `the tap "${tapName}" on node "${nodeName}" where it is`,
};
