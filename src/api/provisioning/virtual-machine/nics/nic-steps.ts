import { unchanged } from "../../../../datastore/collection.ts";
import { merge } from "../../../../datastore/datastore.ts";
import type { Retriable } from "../../../../transaction/step.ts";
import { kindOf } from "../../../../util/errors.ts";
import { formatRef, nameOnNode, type Ref } from "../../../../util/ref.ts";
import { DOMAIN_MS, nodeStep } from "../../../core/saga/node-step.ts";
import { interfaces } from "../../../network/interface/collection.ts";
import { releaseInterface } from "../../../network/interface/interfaces.ts";
import type { Api, NodeWork, SagaContext } from "../../context.ts";
import type { DomainNic } from "../domain/domain-messages.ts";
import { attach, type Tap, takeOut } from "../domain/tap-steps.ts";

/** A nic of a domain, and how long its guest may take to release it. */
export type PluggedNic = {
  readonly nodeName: string;
  /** The virtual machine. */
  readonly ref: Ref;
  readonly nic: DomainNic;
  readonly deadlineSeconds: number;
};

const ofNic = { owner: ({ ref }: PluggedNic) => ref };

const nicOf = ({ ref, nodeName, nic }: PluggedNic) =>
  `nic ${nic.hardwareAddress} of virtual machine "${ref.name}" on node "${nodeName}"`;

const plug: NodeWork<PluggedNic> = async ({ compute }, { ref, nic }) => {
  const asked = { name: nameOnNode(ref), nic };
  await compute(
    (c, operation, options) => c.ensureDomainNic({ operation, ...asked }, options),
    DOMAIN_MS,
  );
};

const unplug: NodeWork<PluggedNic> = async ({ compute }, { ref, nic, deadlineSeconds }) => {
  const { hardwareAddress } = nic;
  const asked = { name: nameOnNode(ref), hardwareAddress, deadlineSeconds };
  await compute(
    (c, operation, options) => c.ensureDomainNicAbsent({ operation, ...asked }, options),
    DOMAIN_MS,
  );
};

/** Gives a domain a nic, whose tap is in the node's own namespace. */
export const plugNic = nodeStep<PluggedNic, Api>({
  name: "domain.plug_nic",
  ...ofNic,
  act: plug,
  undo: unplug,
  leaves: (input) => `${nicOf(input)}, which its guest has not released`,
});

/** Takes a nic from a domain, whose tap stays in its network. */
export const unplugNic = nodeStep<PluggedNic & { readonly tap: Tap }, Api>({
  name: "domain.unplug_nic",
  ...ofNic,
  act: unplug,
  async undo(node, { tap, ...input }) {
    try {
      await plug(node, input);
    } catch (reason) {
      if (kindOf(reason) !== "failed_precondition") throw reason;
      // The guest has released it. A domain opens taps in the node's own namespace only.
      await takeOut(node, tap);
      await plug(node, input);
    }
    await attach(node, tap);
  },
  leaves: (input) => `${nicOf(input)} detached`,
});

/** The last step of a detach, after the tap is removed: frees the interface with its addresses. */
export const releaseNic: Retriable<
  SagaContext,
  { readonly ref: Ref; readonly network: Ref; readonly interfaceName: string }
> = {
  name: "virtual_machine.release_nic",
  async act({ api }, { ref, network, interfaceName }) {
    const stored = await api.records.find(interfaces, network, interfaceName);
    if (stored === undefined || stored.value.owner !== formatRef(ref)) return;
    await api.datastore.batch(
      merge(
        releaseInterface(network, stored.value),
        unchanged(interfaces, [network, interfaceName], stored.revision),
      ),
    );
  },
};
