import { nodeRetriable } from "../../core/saga/node-step.ts";

/** A network on one node. */
export type NetworkPlace = { readonly nodeName: string; readonly networkName: string };

/** With its gateways' prefix lengths; empty for none. */
export type NodeNetwork = NetworkPlace & {
  readonly ipv4Gateway: string;
  readonly ipv6Gateway: string;
};

// Repairs. Each comes after a look at the same thing under its keys and makes it as it should be, from
// whatever it is; where the node refuses that for ever, an operator gives it up and verify finds it again.

const owner = ({ networkName }: NetworkPlace) => `network/${networkName}`;

const leaves = ({ networkName, nodeName }: NetworkPlace) =>
  `network "${networkName}" on node "${nodeName}" as it is`;

/** Makes whatever part of the network is missing or changed on the node. */
export const restoreNetwork = nodeRetriable<NodeNetwork>({
  name: "network.restore",
  owner,
  async act({ survey }, { networkName: name, ipv4Gateway, ipv6Gateway }) {
    const network = { name, ipv4Gateway, ipv6Gateway };
    await survey((c, operation, options) => c.ensureNetworkWhole({ operation, network }, options));
  },
  leaves,
});

/** Removes the network from the node, if it has no taps there by then. */
export const sweep = nodeRetriable<NetworkPlace>({
  name: "network.sweep",
  owner,
  async act({ survey }, { networkName }) {
    await survey((c, operation, options) => c.sweepNetwork({ operation, networkName }, options));
  },
  leaves,
});

/** The rules of the node itself: whole where it has networks, gone where it has none. */
export const settleRules = nodeRetriable<{ readonly nodeName: string }>({
  name: "node.settle_rules",
  owner: ({ nodeName }) => `node/${nodeName}`,
  act: ({ survey }) => survey((c, operation, options) => c.ensureNodeRules({ operation }, options)),
  leaves: ({ nodeName }) => `the rules of node "${nodeName}" as they are`,
});
