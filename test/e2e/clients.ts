import { type Client, createClient } from "@connectrpc/connect";
import { NetworkService } from "../../src/gen/n0stack/pool/v0/network_pb.ts";
import { BlockStorageService } from "../../src/gen/n0stack/provisioning/v0/block_storage_pb.ts";
import { VirtualMachineService } from "../../src/gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { readTokenFile } from "../../src/rpc/token-auth.ts";
import { openTransport } from "../../src/rpc/transport.ts";
import type { Server } from "./server.ts";

/** For reads that a test repeats: starting n0cli each time would take most of its time. */
export interface Clients extends Disposable {
  readonly networks: Client<typeof NetworkService>;
  readonly disks: Client<typeof BlockStorageService>;
  readonly machines: Client<typeof VirtualMachineService>;
}

export function openClients({ url, tokenFile }: Pick<Server, "url" | "tokenFile">): Clients {
  const transport = openTransport(url, 0, { token: readTokenFile(tokenFile) });
  return {
    networks: createClient(NetworkService, transport),
    disks: createClient(BlockStorageService, transport),
    machines: createClient(VirtualMachineService, transport),
    [Symbol.dispose]: () => transport.close(),
  };
}
