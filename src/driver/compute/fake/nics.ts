import { N0Error } from "../../../util/errors.ts";
import { ownerOnNode } from "../../../util/ref.ts";
import { isActive, isPaused } from "../active.ts";
import type { DomainNics } from "../domain-nics.ts";
import { guestKeepsNic } from "../guest-keeps-nic.ts";
import { checkName, type FakeNode, inOrder, wrongState } from "./fake-node.ts";

export function fakeNics(node: FakeNode): DomainNics {
  const { domains, options, keepsNics } = node;
  return {
    ensureNic: (name, nic, signal) =>
      node.guarded("ensureNic", signal, () => {
        checkName(name);
        node.refuseForeign(name);
        const domain = domains.get(name);
        if (domain === undefined) throw wrongState(name, "is not on the node");
        const { nics } = domain.info;
        if (nics.some((one) => one.hardwareAddress === nic.hardwareAddress)) return;
        if (isActive(domain.state) && options.hasTap?.(nic.tapName) === false) {
          throw new N0Error("failed_precondition", `the tap "${nic.tapName}" is missing`, {
            resource: ownerOnNode("virtual_machine", name),
          });
        }
        domain.info = { ...domain.info, nics: inOrder([...nics, nic]) };
      }),
    ensureNicAbsent: (name, hardwareAddress, { timeoutMs }, signal) =>
      node.guarded("ensureNicAbsent", signal, () => {
        checkName(name);
        const domain = domains.get(name);
        const nics = domain?.info.nics ?? [];
        const others = nics.filter((one) => one.hardwareAddress !== hardwareAddress);
        if (domain === undefined || others.length === nics.length) return;
        if (isPaused(domain.state)) throw wrongState(name, "is PAUSED: boot it first");
        if (isActive(domain.state) && keepsNics.has(name)) {
          throw guestKeepsNic(name, hardwareAddress, timeoutMs);
        }
        domain.info = { ...domain.info, nics: others };
      }),
  };
}
