import { isMadeBy, type Mark } from "../../mark.ts";
import { isActive } from "../active.ts";
import type { DomainSpec } from "../domain.ts";
import type { DomainDefinition } from "../domain-definition.ts";
import { refuseLeftover } from "../leftover.ts";
import type { FakeDefinition } from "./fake-compute.ts";
import { checkName, type FakeDomain, type FakeNode, inOrder, wrongState } from "./fake-node.ts";

/** Defines the domain, or changes its definition, whether it is active or not. */
export function define(node: FakeNode, spec: DomainSpec, mark: Mark): FakeDomain {
  const { domains, names } = node;
  checkName(spec.name);
  node.refuseForeign(spec.name);
  if (hasUuidOfAnother(node, spec)) throw wrongState(spec.name, "has the uuid of another domain");
  const old = domains.get(spec.name);
  const domain = old ?? {
    info: infoOf(spec, mark),
    state: "absent",
    viewers: new Set(),
    typed: "",
    isListening: false,
  };
  const made = old?.info.mark;
  domain.info = infoOf(spec, made?.owner === mark.owner ? made : mark);
  domains.set(spec.name, domain);
  names.set(spec.uuid, spec.name);
  if (old === undefined) node.setState(spec.name, "shut_off");
  return domain;
}

function hasUuidOfAnother(
  { domains, foreign, names }: FakeNode,
  { name, uuid }: DomainSpec,
): boolean {
  const other = names.get(uuid);
  if (other !== undefined && other !== name && domains.get(other)?.info.uuid === uuid) return true;
  return foreign.values().some((other) => other === uuid);
}

function infoOf(spec: DomainSpec, mark: Mark): FakeDefinition {
  return {
    name: spec.name,
    uuid: spec.uuid,
    mark,
    vcpus: spec.vcpus,
    memoryBytes: ((spec.memoryBytes + 1023n) / 1024n) * 1024n,
    diskPaths: spec.disks.map(({ path }) => path),
    nics: inOrder(spec.nics),
  };
}

export function fakeDefinition(node: FakeNode): DomainDefinition {
  const { domains, folders } = node;
  return {
    requireNew: (name, mark, signal) =>
      node.guarded("requireNew", signal, () => {
        checkName(name);
        node.refuseForeign(name);
        refuseLeftover("domain", name, domains.get(name)?.info.mark, mark);
        refuseLeftover("folder", name, folders.get(name)?.mark, mark);
      }),
    ensureDefined: (spec, mark, signal) =>
      node.guarded("ensureDefined", signal, () => {
        const present = domains.get(spec.name);
        if (present !== undefined && isActive(present.state))
          throw wrongState(spec.name, "is active: shut it down first");
        define(node, spec, mark);
      }),
    ensureAbsent: (name, maker, signal) =>
      node.guarded("ensureAbsent", signal, () => {
        const domain = domains.get(name);
        if (domain !== undefined && !isMadeBy(domain.info.mark, maker)) return;
        node.setState(name, "absent");
        const folder = folders.get(name);
        if (folder !== undefined && isMadeBy(folder.mark, maker)) folders.delete(name);
      }),
    list: (signal) =>
      node.guarded("list", signal, () =>
        [...domains.values()].map(({ info, state }) => ({
          ...info,
          state,
        })),
      ),
  };
}
