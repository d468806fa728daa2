import { nameOnNode, nodeRef, type Ref } from "../../../util/ref.ts";
import { nodeRetriable, nodeStep, type StepNode } from "../../core/saga/node-step.ts";
import { namesToRefs } from "../../core/saga/older-input.ts";
import type { Api } from "../context.ts";
import { readGroupsOfNetwork } from "../security-group/on-node.ts";
import { networks } from "./collection.ts";
import { nodeNetworkMessage, type PartsOnNode } from "./record.ts";

/** A network on one node. */
export type NetworkPlace = { readonly nodeName: string; readonly network: Ref };

export type NodeNetwork = NetworkPlace & PartsOnNode;

/** The change of a network's gateways and services on a node. */
export type GatewayChange = NodeNetwork & { readonly before: PartsOnNode };

/** Gives the network on the node other gateways and services, and a way outside or none, while virtual machines use it. */
export const changeGateways = nodeStep<GatewayChange>({
  name: "network.change_gateways",
  owner: ({ network }) => network,
  act: setGateways,
  undo: (node, { network, before }) => setGateways(node, { network, ...before }),
  leaves: ({ network, nodeName }) =>
    `network "${network.name}" on node "${nodeName}", perhaps with the gateways, domain or nameservers of another state`,
});

async function setGateways(
  { network: ask }: StepNode,
  { network: ref, ...parts }: Omit<NodeNetwork, "nodeName">,
): Promise<void> {
  const network = nodeNetworkMessage(ref, parts);
  await ask((c, operation, options) => c.ensureGateways({ operation, network }, options));
}

// Repairs. Each follows a look at the same thing under its keys, and makes it right from any state. If the node
// refuses that for ever, an operator gives it up, and verify finds it again.

const olderNames = { network: [networks.kind, "networkName"] } as const;

const owner = ({ network }: NetworkPlace) => network;

const leaves = ({ network, nodeName }: NetworkPlace) =>
  `network "${network.name}" on node "${nodeName}" as it is`;

/** Repairs every part of the network on the node that is missing or changed, with its security groups. */
export const restoreNetwork = nodeRetriable<NodeNetwork, Api>({
  name: "network.restore",
  today: namesToRefs(olderNames),
  owner,
  async act({ api, survey }, { nodeName, network: ref, ...parts }) {
    const network = nodeNetworkMessage(ref, parts);
    const groups = await readGroupsOfNetwork(api, ref, nodeName);
    await survey((c, operation, options) =>
      c.ensureNetworkWhole({ operation, network, groups }, options),
    );
  },
  leaves,
});

/** Tells the node again where the guests of the network are. */
export const restoreSegment = nodeRetriable<NetworkPlace, Api>({
  name: "network.restore_segment",
  owner,
  act: ({ api, signal }, { nodeName, network }) => api.segments.renew(nodeName, network, signal),
  leaves,
});

/** Removes the network from the node, if it has no taps there at that moment. */
export const sweep = nodeRetriable<NetworkPlace>({
  name: "network.sweep",
  today: namesToRefs(olderNames),
  owner,
  async act({ survey }, { network }) {
    const networkName = nameOnNode(network);
    await survey((c, operation, options) => c.sweepNetwork({ operation, networkName }, options));
  },
  leaves,
});

/** The rules of the node itself: complete if it has networks, absent if it has none. */
export const settleRules = nodeRetriable<{ readonly nodeName: string }>({
  name: "node.settle_rules",
  owner: ({ nodeName }) => nodeRef(nodeName),
  act: ({ survey }) => survey((c, operation, options) => c.ensureNodeRules({ operation }, options)),
  leaves: ({ nodeName }) => `the rules of node "${nodeName}" as they are`,
});
