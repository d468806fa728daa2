import { create } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import {
  ListNetworksResponseSchema,
  type Network,
  type NetworkService,
} from "../../../gen/n0stack/pool/v0/network_pb.ts";
import type { Api } from "../../core/context.ts";
import { listPage } from "../../core/read/list.ts";
import { watchObjects } from "../../core/read/watch.ts";
import { interfaces } from "../interface/collection.ts";
import {
  releaseNetworkInterface,
  reserveNetworkInterface,
} from "../interface/reserve-interface.ts";
import { applyNetwork } from "./apply.ts";
import { networks } from "./collection.ts";
import { deleteNetwork } from "./delete.ts";
import { getNetwork, toWire } from "./network-record.ts";

export function networkRoutes(api: Api): ServiceImpl<typeof NetworkService> {
  return {
    async listNetworks(request) {
      const { objects, nextPageToken } = await listPage(api.records, networks, request);
      const seen = await Promise.all(objects.map((network) => toWire(api, network)));
      return create(ListNetworksResponseSchema, { networks: seen, nextPageToken });
    },
    getNetwork: async ({ name }) => toWire(api, (await getNetwork(api, name)).value),
    applyNetwork: (request, call) => applyNetwork(api, call, request),
    deleteNetwork: async ({ name }, call) => {
      await deleteNetwork(api, call, name);
      return {};
    },
    reserveNetworkInterface: (request, call) => reserveNetworkInterface(api, call, request),
    releaseNetworkInterface: async (request, call) => {
      await releaseNetworkInterface(api, call, request);
      return {};
    },
    async *watchNetworks({ name }, { signal }) {
      const seen = (object: Network) => toWire(api, object);
      for await (const change of watchObjects(api, networks, name, seen, signal, [interfaces])) {
        if (change.kind === "put") yield { network: change.object };
        else if (change.kind === "delete") yield { deletedName: change.name };
        else yield { synced: true };
      }
    },
  };
}
