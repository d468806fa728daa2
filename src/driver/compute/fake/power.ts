import { N0Error } from "../../../util/errors.ts";
import { ownerOnNode } from "../../../util/ref.ts";
import { isActive, isPaused } from "../active.ts";
import type { DomainEvent, DomainSpec } from "../domain.ts";
import type { DomainPower } from "../domain-power.ts";
import { refuseDeaf } from "../power-button.ts";
import { define } from "./definition.ts";
import { checkName, type FakeNode } from "./fake-node.ts";

export function fakePower(node: FakeNode): DomainPower {
  const { domains, listeners } = node;
  return {
    ensureStarted: (spec, mark, signal) =>
      node.guarded("ensureStarted", signal, () => {
        checkName(spec.name);
        const present = domains.get(spec.name);
        if (present !== undefined && isActive(present.state)) return;
        node.refuseForeign(spec.name);
        requireParts(node, spec);
        node.folderOf(spec.name, mark);
        const domain = define(node, spec, mark);
        requireMemory(node, spec);
        domain.isListening = false;
        node.setState(spec.name, "paused");
      }),
    ensureResumed: (name, signal) =>
      node.guarded("ensureResumed", signal, () => {
        node.active(name);
        node.setState(name, "running");
      }),
    ensurePaused: (name, signal) =>
      node.guarded("ensurePaused", signal, () => {
        if (!isPaused(node.active(name).state)) node.setState(name, "paused");
      }),
    requestShutdown: (name, signal) =>
      node.guarded("requestShutdown", signal, () => {
        if (press(node, name)) node.setState(name, "shut_off");
      }),
    reboot: (name, hard, signal) =>
      node.guarded("reboot", signal, () => {
        if (hard) node.active(name).isListening = false;
        else press(node, name);
      }),
    ensureOff: (name, signal) =>
      node.guarded("ensureOff", signal, () => {
        const domain = domains.get(name);
        if (domain !== undefined && isActive(domain.state)) node.setState(name, "shut_off");
      }),
    state: (name, signal) =>
      node.guarded("state", signal, () => domains.get(name)?.state ?? "absent"),
    onEvent(listener) {
      const entry = (event: DomainEvent) => listener(event);
      listeners.add(entry);
      return () => listeners.delete(entry);
    },
  };
}

/** Returns whether the guest notices it. A guest that does not listen never notices it. */
function press(node: FakeNode, name: string): boolean {
  const domain = node.active(name);
  refuseDeaf(name, domain.state);
  const { isListening } = domain;
  domain.isListening = false;
  return isListening;
}

function requireParts({ options }: FakeNode, { name, disks, nics }: DomainSpec): void {
  const { hasDisk = () => true, hasTap = () => true } = options;
  const disk = disks.findIndex(({ path }) => !hasDisk(path));
  const nic = nics.findIndex(({ tapName }) => !hasTap(tapName));
  if (disk < 0 && nic < 0) return;
  const field = disk >= 0 ? `disks[${disk}]` : `nics[${nic}]`;
  throw new N0Error(
    "failed_precondition",
    `${field} of virtual machine "${name}" is missing on the node: make it first`,
    { resource: ownerOnNode("virtual_machine", name), field },
  );
}

function requireMemory({ options, domains }: FakeNode, spec: DomainSpec): void {
  if (options.memoryBytesMax === undefined) return;
  const used = [...domains.values()]
    .filter(({ state }) => isActive(state))
    .reduce((sum, d) => sum + d.info.memoryBytes, 0n);
  if (used + spec.memoryBytes <= options.memoryBytesMax) return;
  throw new N0Error(
    "resource_exhausted",
    `virtual machine "${spec.name}" needs more memory than the node has`,
  );
}
