const NODE_OF_VM = "n0core/provisioning/virtual_machine/request_node_name";

/** The virtual machines that `manyChanges` leaves. Each has four addresses. */
export const LEFT = ["extra-0", "extra-1"];

/** 50 changes of the network `lab`, all by virtual machines of one node. */
export function manyChanges(node: string): string {
  const names = Array.from({ length: 10 }, (_, i) => `extra-${i}`);
  return names
    .flatMap((name, i) => {
      const isLeft = LEFT.includes(name);
      const tasks = [
        created(name, node),
        ...[1, 2, 3].map((turn) => addressed(name, i, turn)),
        isLeft ? addressed(name, i, 4) : deleted(name),
      ];
      return tasks.map((task, at) => {
        const before = at === 0 ? "" : `, depends_on: [${name}-${at - 1}]`;
        return `${name}-${at}: { type: virtual_machine, ${task}${before} }\n`;
      });
    })
    .join("");
}

export function networkTask(name: string): string {
  return `${name}: { type: network, action: ApplyNetwork, args: { name: ${name}, ipv4_cidr: 10.97.0.0/24 } }\n`;
}

/** The words of n0cli for a virtual machine without a disk. */
export function bareMachine(name: string, node: string, nics: readonly string[]): string[] {
  const asked = ["--request_cpu_milli_core", "10", "--request_memory_bytes", "32MiB"];
  const limits = ["--limit_cpu_milli_core", "1000", "--limit_memory_bytes", "32MiB"];
  const on = ["--annotations", `${NODE_OF_VM}=${node}`];
  return [
    "vm",
    "create",
    name,
    ...asked,
    ...limits,
    ...on,
    ...nics.flatMap((nic) => ["--nics", nic]),
  ];
}

function created(name: string, node: string): string {
  const sizes = "request_cpu_milli_core: 10, request_memory_bytes: 32MiB";
  const limits = "limit_cpu_milli_core: 1000, limit_memory_bytes: 32MiB";
  const on = `annotations: { ${NODE_OF_VM}: ${node} }`;
  return `action: CreateVirtualMachine, args: { name: ${name}, ${sizes}, ${limits}, ${on}, nics: [{ network_name: lab }] }`;
}

/** Each turn frees what the one before has set. */
function addressed(name: string, i: number, turn: number): string {
  const addresses = [1, 2, 3].map((n) => `10.96.0.${100 + i * 12 + ((turn + n) % 4) * 3}`);
  const args = `name: ${name}, network_interface_name: ${name}0, secondary_addresses: [${addresses.join(", ")}]`;
  return `action: SetNicAddresses, args: { ${args} }`;
}

function deleted(name: string): string {
  return `action: DeleteVirtualMachine, args: { name: ${name} }`;
}
