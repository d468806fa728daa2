import { type Ref, SCOPE_END } from "../../../util/ref.ts";

type Scoped = Pick<Ref, "scope">;

/**
 * The name of a nic in its network. The original's name has no separator: the first nic of `vm1` and the
 * eleventh of `vm` share one. In the network of another project, the own project precedes it, so that two
 * virtual machines of one name have different ones.
 */
export function interfaceNameIn(network: Scoped, { scope, name }: Ref, index: number): string {
  const own = `${name}${index}`;
  return scope === network.scope ? own : `${scope}${SCOPE_END}${own}`;
}

/** The project whose object has the interface, or whose user has reserved it. */
export function projectOfInterface(network: Scoped, name: string): string {
  const end = name.indexOf(SCOPE_END);
  return end < 0 ? network.scope : name.slice(0, end);
}

/** The name without the project. */
export function ownInterfaceName(name: string): string {
  return name.slice(name.indexOf(SCOPE_END) + 1);
}

/** The key by which the owner of a network sees the interface of another project: an address of it. */
export function anonymousName(address: string): string {
  return `${SCOPE_END}${address}`;
}
