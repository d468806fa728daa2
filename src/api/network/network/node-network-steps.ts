import type { Retriable, StepScope } from "../../../transaction/step.ts";
import { operation, quick, unlessLost } from "../../core/operation.ts";
import type { SagaContext } from "../context.ts";

/** A network on one node. */
export type NetworkPlace = { readonly nodeName: string; readonly networkName: string };

/** With its gateways' prefix lengths; empty for none. */
export type NodeNetwork = NetworkPlace & {
  readonly ipv4Gateway: string;
  readonly ipv6Gateway: string;
};

function about({ api }: SagaContext, nodeName: string, owner: string, scope: StepScope) {
  return { agent: api.agents.get(nodeName), operation: operation(owner, scope) };
}

// Repairs. Each comes after a look at the same thing under its keys and makes it as it should be, from
// whatever it is; where the node refuses that for ever, an operator gives it up and verify finds it again.

const leavesNetwork = ({ networkName, nodeName }: NetworkPlace) =>
  `network "${networkName}" on node "${nodeName}" as it is`;

/** Makes whatever part of the network is missing or changed on the node. */
export const restoreNetwork: Retriable<SagaContext, NodeNetwork> = {
  name: "network.restore",
  act: unlessLost(async (context, { nodeName, networkName, ipv4Gateway, ipv6Gateway }, scope) => {
    const { agent, operation } = about(context, nodeName, `network/${networkName}`, scope);
    const network = { name: networkName, ipv4Gateway, ipv6Gateway };
    await agent.survey((c) => c.ensureNetworkWhole({ operation, network }, quick(scope)));
  }),
  leaves: leavesNetwork,
};

/** Removes the network from the node, if it has no taps there by then. */
export const sweep: Retriable<SagaContext, NetworkPlace> = {
  name: "network.sweep",
  act: unlessLost(async (context, { nodeName, networkName }, scope) => {
    const { agent, operation } = about(context, nodeName, `network/${networkName}`, scope);
    await agent.survey((c) => c.sweepNetwork({ operation, networkName }, quick(scope)));
  }),
  leaves: leavesNetwork,
};

/** The rules of the node itself: whole where it has networks, gone where it has none. */
export const settleRules: Retriable<SagaContext, { readonly nodeName: string }> = {
  name: "node.settle_rules",
  act: unlessLost(async (context, { nodeName }, scope) => {
    const { agent, operation } = about(context, nodeName, `node/${nodeName}`, scope);
    await agent.survey((c) => c.ensureNodeRules({ operation }, quick(scope)));
  }),
  leaves: ({ nodeName }) => `the rules of node "${nodeName}" as they are`,
};
