import process from "node:process";
import { type Client, ConnectError, createClient } from "@connectrpc/connect";
import { ImageService } from "../../src/gen/n0stack/deployment/v0/image_pb.ts";
import { UserService } from "../../src/gen/n0stack/iam/v0/user_pb.ts";
import { NetworkService } from "../../src/gen/n0stack/pool/v0/network_pb.ts";
import { NodeService } from "../../src/gen/n0stack/pool/v0/node_pb.ts";
import { BlockStorageService } from "../../src/gen/n0stack/provisioning/v0/block_storage_pb.ts";
import { VirtualMachineService } from "../../src/gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { TransactionService } from "../../src/gen/n0stack/transaction/v1alpha1/transaction_pb.ts";
import { VerifyService } from "../../src/gen/n0stack/verify/v1alpha1/verify_pb.ts";
import { API_PORT_DEFAULT, openTransport } from "../../src/rpc/transport.ts";
import type { Target } from "./target.ts";

/** What an operator has: the attacker, too, where it attacks as a user. */
export interface Clients extends Disposable {
  readonly nodes: Client<typeof NodeService>;
  readonly networks: Client<typeof NetworkService>;
  readonly blockStorages: Client<typeof BlockStorageService>;
  readonly virtualMachines: Client<typeof VirtualMachineService>;
  readonly images: Client<typeof ImageService>;
  readonly users: Client<typeof UserService>;
  readonly transactions: Client<typeof TransactionService>;
  readonly verify: Client<typeof VerifyService>;
}

export function openClients({ url, token }: Target): Clients {
  // The server that was started is this user's own.
  const ownerUid = process.getuid?.() ?? 0;
  const transport = openTransport(url, API_PORT_DEFAULT, { token: { value: token, ownerUid } });
  return {
    nodes: createClient(NodeService, transport),
    networks: createClient(NetworkService, transport),
    blockStorages: createClient(BlockStorageService, transport),
    virtualMachines: createClient(VirtualMachineService, transport),
    images: createClient(ImageService, transport),
    users: createClient(UserService, transport),
    transactions: createClient(TransactionService, transport),
    verify: createClient(VerifyService, transport),
    [Symbol.dispose]: () => transport.close(),
  };
}

/** The error of a call that may fail; undefined where it did not. */
export async function errorOf(call: Promise<unknown>): Promise<ConnectError | undefined> {
  try {
    await call;
    return undefined;
  } catch (error) {
    return ConnectError.from(error);
  }
}
