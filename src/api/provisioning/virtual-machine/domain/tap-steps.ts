import { N0Error } from "../../../../util/errors.ts";
import { nameOnNode, type Ref } from "../../../../util/ref.ts";
import { nodeRetriable, nodeStep } from "../../../core/saga/node-step.ts";
import { namesToRefs } from "../../../core/saga/older-input.ts";
import { networks } from "../../../network/network/collection.ts";
import { nodeNetworkMessage, type ServicesOnNode } from "../../../network/network/record.ts";
import type { NicGroups } from "../../../network/security-group/names.ts";
import { portGroupsMessage } from "../../../network/security-group/on-node.ts";
import type { Api, NodeWork, StepNode } from "../../context.ts";
import { virtualMachines } from "../collection.ts";
import { limitsMessage, type TapLimits } from "../nics/limits.ts";

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
  /** The largest packet of the guest. An input of an older version has none. */
  readonly mtu?: number;
  /** Whether the network lets no guest outside. */
  readonly natOff?: boolean;
  /** The VLAN that the network joins. */
  readonly vlanId?: number;
  /** Who the guest is on this nic. An input of an older version has none, and its act leaves the filter alone. */
  readonly identity?: TapIdentity;
  /** None if not given. A new tap has none. */
  readonly limits?: TapLimits;
  /** Its security groups. An input of an older version has none, and its act leaves them alone. */
  readonly groups?: NicGroups;
  /** DHCP and DNS of the network. An input of an older version has none, and its act leaves them alone. */
  readonly services?: ServicesOnNode;
  /** How these know the guest. */
  readonly entry?: TapGuest;
};

/** The filter of the tap drops what claims to come from somebody else. */
export type TapIdentity = {
  readonly hardwareAddress: string;
  /** IPv4 and IPv6, without prefix length. */
  readonly addresses: readonly string[];
  /** More, from which other guests may speak too. None if not given. */
  readonly allowedAddresses?: readonly string[];
};

/** A guest, as DHCP and DNS know it. Empty for no name or no address. */
export type TapGuest = {
  readonly hardwareAddress: string;
  readonly name: string;
  readonly ipv4Address: string;
  readonly ipv6Address: string;
};

export const leaves = ({ tapName, ref, network, nodeName }: Tap) =>
  `the tap "${tapName}" of virtual machine "${ref.name}" on node "${nodeName}", perhaps in network "${network.name}"`;

/** What all these steps share. */
export const ofTap = {
  today: namesToRefs<Tap>({
    ref: [virtualMachines.kind, "name"],
    network: [networks.kind, "networkName"],
  }),
  owner: ({ ref }: Tap) => ref,
};

const portMessage = (tap: Tap) => ({
  tapName: tap.tapName,
  network: nodeNetworkMessage(tap.network, tap),
  ...(tap.identity === undefined ? {} : { identity: identityMessage(tap.identity) }),
  ...(tap.limits === undefined ? {} : { limits: limitsMessage(tap.limits) }),
  ...(tap.entry === undefined ? {} : { entry: { ...tap.entry } }),
});

const groupedPort = async ({ api }: StepNode, { groups, ...tap }: Tap) => ({
  ...portMessage(tap),
  ...(groups === undefined ? {} : { groups: await portGroupsMessage(api, groups) }),
});

/** The network may leave the node with its last other nic between an answer and a push, again and again. */
const PUSHES_MAX = 5;

/** The node may not know yet who else is in the groups of its network: then it is told, and asked again. */
async function withMembers(
  { api, signal }: StepNode,
  { nodeName, network }: Tap,
  ask: () => Promise<{ readonly needsMembers: boolean }>,
): Promise<void> {
  for (let tries = 0; tries < PUSHES_MAX; tries++) {
    if (!(await ask()).needsMembers) return;
    await api.groupPushes.pushNow(nodeName, network, signal);
  }
  if (!(await ask()).needsMembers) return;
  throw new N0Error(
    "aborted",
    `network "${network.name}" has just left node "${nodeName}": try again`,
    {
      retryAfterMs: 100,
    },
  );
}

const identityMessage = (identity: TapIdentity) => {
  const { hardwareAddress, addresses, allowedAddresses = [] } = identity;
  return { hardwareAddress, addresses: [...addresses], allowedAddresses: [...allowedAddresses] };
};

/** Moves the tap into its network, with its filter and its security groups. */
export const attach: NodeWork<Tap> = async (node, tap) => {
  await withMembers(node, tap, async () => {
    const asked = await groupedPort(node, tap);
    return await node.network((c, operation, options) =>
      c.ensureTapAttached({ operation, ...asked }, options),
    );
  });
};

/** Takes the tap out again, to where a domain can open it. */
export const takeOut: NodeWork<Tap> = async ({ network }, { tapName }) => {
  await network((c, operation, options) => c.ensureTapOut({ operation, tapName }, options));
};

const removeTap =
  (onlyOfTransaction: boolean): NodeWork<Tap> =>
  async ({ network: ask }, { tapName, network }) => {
    const asked = { tapName, networkName: nameOnNode(network), onlyOfTransaction };
    await ask((c, operation, options) => c.ensureTapAbsent({ operation, ...asked }, options));
  };

export const make: NodeWork<Tap> = async ({ network }, { tapName }) => {
  await network((c, operation, options) => c.ensureTap({ operation, tapName }, options));
};

/**
 * Makes the tap where a domain can open it. Replaces a former tap of the same virtual machine, at a boot, and
 * also one that another transaction left: no domain has it open, because the earlier step of the seed fails if
 * there is a domain of that name.
 */
export const makeTap = nodeStep<Tap, Api>({
  name: "network.make_tap",
  ...ofTap,
  act: make,
  undo: removeTap(true),
  leaves,
});

/**
 * Moves the tap of a started domain into its network, with its filter and its entry. The first tap brings the network
 * to the node.
 */
export const attachTap = nodeStep<Tap, Api>({
  name: "network.attach_tap",
  ...ofTap,
  act: attach,
  // The undo of making the tap removes it from any place, and the network with its last tap. It runs after the
  // domain that has the tap open is removed.
  undo: "nothing",
});

const limit =
  (which: "before" | "after"): NodeWork<Limiting> =>
  async ({ network: ask }, { tap: { tapName, network }, [which]: limits }) => {
    const asked = { tapName, networkName: nameOnNode(network), limits: limitsMessage(limits) };
    await ask((c, operation, options) => c.ensureTapLimits({ operation, ...asked }, options));
  };

type Limiting = {
  readonly nodeName: string;
  readonly tap: Tap;
  readonly before: TapLimits;
  readonly after: TapLimits;
};

const ofLimiting = { owner: ({ tap }: Limiting) => tap.ref };
const leavesLimits = ({ tap: { tapName, nodeName } }: Limiting) =>
  `the tap "${tapName}" on node "${nodeName}" with other limits than its record`;

/** Changes the limits of a tap whose guest may run. */
export const limitTap = nodeStep<Limiting, Api>({
  name: "network.limit_tap",
  ...ofLimiting,
  act: limit("after"),
  undo: limit("before"),
  leaves: leavesLimits,
});

/** A repair: gives the tap the limits of the record. */
export const restoreLimits = nodeRetriable<Limiting, Api>({
  name: "network.restore_limits",
  ...ofLimiting,
  act: limit("after"),
  leaves: leavesLimits,
});

/**
 * After the pivot: removes the tap, and the network from the node with its last tap. Succeeds if the tap is
 * gone already, or belongs to another, so nothing in it can refuse that.
 */
export const removeTapLater = nodeRetriable<Tap, Api>({
  name: "network.remove_tap",
  ...ofTap,
  act: removeTap(false),
  leaves,
});

/** The groups of a nic, and those that it had. */
export type GroupChange = Tap & { readonly before: NicGroups };

/** Puts the nic of a guest into other security groups, while the guest runs. */
export const changeGroups = nodeStep<GroupChange, Api>({
  name: "network.change_groups",
  owner: ({ ref }) => ref,
  act: (node, { before: _, ...tap }) => attach(node, tap),
  undo: (node, { before, ...tap }) => attach(node, { ...tap, groups: before }),
  leaves: ({ tapName, nodeName }) =>
    `the tap "${tapName}" on node "${nodeName}", perhaps in other security groups`,
});

/** The addresses of a nic, and those that it had. */
export type AddressChange = Tap & {
  readonly before: readonly string[];
  readonly allowedBefore?: readonly string[];
};

/** Lets the guest of a nic speak from other addresses, while it runs. */
export const changeAddresses = nodeStep<AddressChange, Api>({
  name: "network.change_addresses",
  owner: ({ ref }) => ref,
  act: (node, { before: _, allowedBefore: __, ...tap }) => attach(node, tap),
  undo: (node, { before, allowedBefore = [], ...tap }) => {
    const { hardwareAddress } = tap.identity!;
    const identity = { hardwareAddress, addresses: before, allowedAddresses: allowedBefore };
    return attach(node, { ...tap, identity });
  },
  leaves: ({ tapName, nodeName }) =>
    `the tap "${tapName}" on node "${nodeName}", perhaps with a filter for other addresses`,
});

/** A repair: moves the tap from any place into its network, with its filter, and connects it. */
export const moveTap = nodeRetriable<Tap, Api>({
  name: "network.move_tap",
  ...ofTap,
  async act(node, tap) {
    await withMembers(node, tap, async () => {
      const ask = await groupedPort(node, tap);
      return await node.survey((c, operation, options) =>
        c.ensureTapMoved({ operation, ...ask }, options),
      );
    });
  },
  leaves: ({ tapName, nodeName }) => `the tap "${tapName}" on node "${nodeName}" where it is`,
});
