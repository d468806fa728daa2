import { nameOnNode, type Ref } from "../../../../util/ref.ts";
import { type NodeWork, nodeRetriable, nodeStep } from "../../../core/saga/node-step.ts";
import { namesToRefs } from "../../../core/saga/older-input.ts";
import { networks } from "../../../network/network/collection.ts";
import { virtualMachines } from "../collection.ts";

/** A nic of a virtual machine, as its node sees it. */
export type Tap = {
  readonly nodeName: string;
  readonly tapName: string;
  /** The virtual machine. */
  readonly ref: Ref;
  readonly network: Ref;
  /** With prefix length; empty for none. */
  readonly ipv4Gateway: string;
  readonly ipv6Gateway: string;
};

const leaves = ({ tapName, ref, network, nodeName }: Tap) =>
  `the tap "${tapName}" of virtual machine "${ref.name}" on node "${nodeName}", perhaps in network "${network.name}"`;

/** What all these steps have in common. */
const ofTap = {
  today: namesToRefs<Tap>({
    ref: [virtualMachines.kind, "name"],
    network: [networks.kind, "networkName"],
  }),
  owner: ({ ref }: Tap) => ref,
};

/** The network as the node is told it. */
const networkMessage = ({ network, ipv4Gateway, ipv6Gateway }: Tap) => ({
  name: nameOnNode(network),
  ipv4Gateway,
  ipv6Gateway,
});

const removeTap =
  (onlyOfTransaction: boolean): NodeWork<Tap> =>
  async ({ network: ask }, { tapName, network }) => {
    const asked = { tapName, networkName: nameOnNode(network), onlyOfTransaction };
    await ask((c, operation, options) => c.ensureTapAbsent({ operation, ...asked }, options));
  };

/**
 * Makes the tap where a domain can open it. One that the same virtual machine had before is replaced, at a
 * boot and also where it is left over from another transaction: no domain has it open, for a domain of
 * that name was refused by the step of the seed, which comes first.
 */
export const makeTap = nodeStep<Tap>({
  name: "network.make_tap",
  ...ofTap,
  async act({ network }, { tapName }) {
    await network((c, operation, options) => c.ensureTap({ operation, tapName }, options));
  },
  undo: removeTap(true),
  leaves,
});

/** Moves the tap of a started domain into its network, which comes to the node with its first tap. */
export const attachTap = nodeStep<Tap>({
  name: "network.attach_tap",
  ...ofTap,
  async act({ network }, tap) {
    const asked = { tapName: tap.tapName, network: networkMessage(tap) };
    await network((c, operation, options) => c.ensureTapAttached({ operation, ...asked }, options));
  },
  // The undo of making the tap removes it, wherever it is by then, and the network with its last tap;
  // it runs when the domain that has it open is gone.
  undo: "nothing",
});

/**
 * After the pivot: the tap goes, and the network from the node with its last one. One that is gone already,
 * or is another's, is success, so nothing of it can refuse that.
 */
export const removeTapLater = nodeRetriable<Tap>({
  name: "network.remove_tap",
  ...ofTap,
  act: removeTap(false),
  leaves,
});

/** A repair: moves the tap into its network, wherever it is, and connects it. */
export const moveTap = nodeRetriable<Tap>({
  name: "network.move_tap",
  ...ofTap,
  async act({ survey }, tap) {
    const wanted = { tapName: tap.tapName, network: networkMessage(tap) };
    await survey((c, operation, options) => c.ensureTapMoved({ operation, ...wanted }, options));
  },
  leaves: ({ tapName, nodeName }) => `the tap "${tapName}" on node "${nodeName}" where it is`,
});
