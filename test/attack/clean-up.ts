import { setTimeout as delay } from "node:timers/promises";
import type { Clients } from "./clients.ts";
import { errorOf } from "./clients.ts";
import { NODE_NAME } from "./examples.ts";

const REST_TIMEOUT_MS = 60_000;
const ROUNDS = 4;

/** Waits until no transaction is open; answers those that are still, after a minute. */
export async function openAtRest({ transactions }: Clients): Promise<readonly string[]> {
  for (const startedMs = performance.now(); ; await delay(200)) {
    const { transactions: open } = await transactions.listTransactions({ openOnly: true });
    if (open.length === 0) return [];
    if (performance.now() - startedMs < REST_TIMEOUT_MS) continue;
    return open.map(
      (tx) => `${tx.id} ${tx.rpc} ${tx.resources.join(" ")} ${tx.hindrance || tx.error}`,
    );
  }
}

/** Removes whatever the attacks have made, as its owner would; answers what does not go, and why. */
export async function removeAll(clients: Clients): Promise<readonly string[]> {
  let left: readonly string[] = [];
  // What is used by another thing goes after it.
  for (let round = 0; round < ROUNDS; round++) {
    left = await removeOnce(clients);
    if (left.length === 0) return [];
  }
  return left;
}

async function removeOnce(clients: Clients): Promise<readonly string[]> {
  const { virtualMachines, images, blockStorages, networks, nodes, users } = clients;
  const left: string[] = [];
  const remove = async (what: string, call: Promise<unknown>) => {
    const error = await errorOf(call);
    if (error !== undefined) left.push(`${what}: ${error.message}`);
  };
  for (const { name } of (await virtualMachines.listVirtualMachines({})).virtualMachines) {
    await remove(`virtual machine ${name}`, virtualMachines.deleteVirtualMachine({ name }));
  }
  for (const image of (await images.listImages({})).images) {
    for (const { blockStorageName } of image.registeredBlockStorages) {
      const which = { imageName: image.name, blockStorageName };
      await remove(`image ${image.name}`, images.unregisterBlockStorage(which));
    }
    await remove(`image ${image.name}`, images.deleteImage({ name: image.name }));
  }
  for (const { name } of (await blockStorages.listBlockStorages({})).blockStorages) {
    await errorOf(blockStorages.setAvailableBlockStorage({ name }));
    await errorOf(blockStorages.deleteBlockStorage({ name }));
    await remove(`block storage ${name}`, blockStorages.purgeBlockStorage({ name }));
  }
  for (const network of (await networks.listNetworks({})).networks) {
    const { name: networkName } = network;
    for (const networkInterfaceName of Object.keys(network.reservedNetworkInterfaces)) {
      await errorOf(networks.releaseNetworkInterface({ networkName, networkInterfaceName }));
    }
    await remove(`network ${networkName}`, networks.deleteNetwork({ name: networkName }));
  }
  for (const { name } of (await users.listUsers({})).users) {
    await remove(`user ${name}`, users.deleteUser({ name }));
  }
  for (const node of (await nodes.listNodes({})).nodes) {
    const { name: nodeName } = node;
    for (const computeName of Object.keys(node.reservedComputes)) {
      await errorOf(nodes.releaseCompute({ nodeName, computeName }));
    }
    for (const storageName of Object.keys(node.reservedStorages)) {
      await errorOf(nodes.releaseStorage({ nodeName, storageName }));
    }
    if (nodeName !== NODE_NAME)
      await remove(`node ${nodeName}`, nodes.deleteNode({ name: nodeName }));
  }
  return left;
}
