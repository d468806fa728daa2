import { readFileSync } from "node:fs";
import { join } from "node:path";
import { PROJECT } from "../e2e/program.ts";

const KEY = readFileSync(join(PROJECT, "examples/id_ed25519.pub"), "utf8").trim();
const NODE_OF_DISK = "n0core/provisioning/block_storage/request_node_name";

/** A virtual machine on the last node, in a network of its own with the CIDR of the others'. */
export const STRANGER = "stranger";
export const STRANGER_ADDRESS = "10.96.0.7";

/** The tasks that make the tiny image, on each of these nodes a virtual machine with the node's name, and a stranger. */
export function guestsOn(nodes: readonly string[]): string {
  return `
fetch:
  type: block_storage
  action: FetchBlockStorage
  args:
    name: tiny
    source_url: file:///var/lib/n0core/images/tiny.qcow2
    request_bytes: 64MiB
    limit_bytes: 1GiB
apply: { type: image, action: ApplyImage, args: { name: tiny } }
register:
  type: image
  action: RegisterBlockStorage
  args: { image_name: tiny, block_storage_name: tiny, tags: [latest] }
  depends_on: [fetch, apply]
network: { type: network, action: ApplyNetwork, args: { name: lab, ipv4_cidr: 10.96.0.0/24, domain: lab.internal } }
other: { type: network, action: ApplyNetwork, args: { name: other, ipv4_cidr: 10.96.0.0/24 } }
${nodes.map((node) => guestOn(node, node, nodes)).join("")}
${guestOn(STRANGER, nodes.at(-1)!, nodes)}`;
}

/**
 * No guest starts before each node has its copy of the image: libvirt changes the owner of the files of a guest
 * that starts, and the agent refuses to copy a file that changes.
 */
function guestOn(name: string, node: string, nodes: readonly string[]): string {
  const nic =
    name === STRANGER
      ? `{ network_name: other, ipv4_address: ${STRANGER_ADDRESS} }`
      : "{ network_name: lab }";
  return `
generate-${name}:
  type: image
  action: GenerateBlockStorage
  args:
    image_name: tiny
    tag: latest
    block_storage_name: ${name}
    request_bytes: 64MiB
    limit_bytes: 1GiB
    annotations: { ${NODE_OF_DISK}: ${node} }
  depends_on: [register]
create-${name}:
  type: virtual_machine
  action: CreateVirtualMachine
  args:
    name: ${name}
    request_cpu_milli_core: 100
    limit_cpu_milli_core: 1000
    request_memory_bytes: 128MiB
    limit_memory_bytes: 128MiB
    block_storage_names: [${name}]
    nics: [${nic}]
    login_username: n0
    ssh_authorized_keys: ["${KEY}"]
  depends_on: [${[...nodes, STRANGER].map((other) => `generate-${other}`).join(", ")}, network, other]
`;
}
