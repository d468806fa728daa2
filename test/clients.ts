import type { DescService } from "@bufbuild/protobuf";
import { type Client, createClient, type Transport } from "@connectrpc/connect";
import { ImageService } from "../src/gen/n0stack/deployment/v0/image_pb.ts";
import { UserService } from "../src/gen/n0stack/iam/v0/user_pb.ts";
import { NetworkService } from "../src/gen/n0stack/pool/v0/network_pb.ts";
import { NodeService } from "../src/gen/n0stack/pool/v0/node_pb.ts";
import { BlockStorageService } from "../src/gen/n0stack/provisioning/v0/block_storage_pb.ts";
import { VirtualMachineService } from "../src/gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { TransactionService } from "../src/gen/n0stack/transaction/v1alpha1/transaction_pb.ts";
import { VerifyService } from "../src/gen/n0stack/verify/v1alpha1/verify_pb.ts";

/** A client of each service of the API. */
export interface Clients {
  /** A client of any service, such as one without a name here. */
  client<S extends DescService>(service: S): Client<S>;
  readonly nodes: Client<typeof NodeService>;
  readonly networks: Client<typeof NetworkService>;
  readonly blockStorages: Client<typeof BlockStorageService>;
  readonly virtualMachines: Client<typeof VirtualMachineService>;
  readonly images: Client<typeof ImageService>;
  readonly users: Client<typeof UserService>;
  readonly transactions: Client<typeof TransactionService>;
  readonly verify: Client<typeof VerifyService>;
}

export function clientsOf(transport: Transport): Clients {
  return {
    client: (service) => createClient(service, transport),
    nodes: createClient(NodeService, transport),
    networks: createClient(NetworkService, transport),
    blockStorages: createClient(BlockStorageService, transport),
    virtualMachines: createClient(VirtualMachineService, transport),
    images: createClient(ImageService, transport),
    users: createClient(UserService, transport),
    transactions: createClient(TransactionService, transport),
    verify: createClient(VerifyService, transport),
  };
}
