import { create } from "@bufbuild/protobuf";
import type { ConnectRouter } from "@connectrpc/connect";
import type { Network } from "../../src/gen/n0stack/pool/v0/network_pb.ts";
import {
  Network_NetworkState,
  NetworkSchema,
  NetworkService,
} from "../../src/gen/n0stack/pool/v0/network_pb.ts";
import type { Node } from "../../src/gen/n0stack/pool/v0/node_pb.ts";
import { Node_NodeState, NodeSchema, NodeService } from "../../src/gen/n0stack/pool/v0/node_pb.ts";
import type { Collection } from "./collection.ts";
import { newCollection, refuse } from "./collection.ts";

export interface FakePool {
  readonly nodes: Collection<Node>;
  readonly networks: Collection<Network>;
  register(router: ConnectRouter): void;
}

/** Nodes and networks. A network on which an interface is reserved cannot be deleted. */
export function newFakePool(): FakePool {
  const nodes = newCollection<Node>("node");
  const networks = newCollection<Network>("network");
  return {
    nodes,
    networks,
    register(router) {
      router.service(NodeService, {
        listNodes(request) {
          const { records, nextPageToken } = nodes.page(request);
          return { nodes: records, nextPageToken };
        },
        getNode: ({ name }) => nodes.get(name),
        applyNode: ({ $typeName: _, ...fields }) =>
          nodes.put(create(NodeSchema, { ...fields, state: Node_NodeState.READY })),
        deleteNode({ name }) {
          nodes.delete(name);
          return {};
        },
        setNodeLost({ name, lost }) {
          return nodes.put({ ...nodes.get(name), lost });
        },
        async *watchNodes({ name }, { signal }) {
          for await (const change of nodes.watch(name, signal)) {
            if (change === undefined) yield { synced: true };
            else yield typeof change === "string" ? { deletedName: change } : { node: change };
          }
        },
      });
      router.service(NetworkService, {
        listNetworks(request) {
          const { records, nextPageToken } = networks.page(request);
          return { networks: records, nextPageToken };
        },
        getNetwork: ({ name }) => networks.get(name),
        applyNetwork({ $typeName: _, ...fields }) {
          const reserved = networks.find(fields.name)?.reservedNetworkInterfaces ?? {};
          const state = Network_NetworkState.AVAILABLE;
          const init = { ...fields, state, reservedNetworkInterfaces: reserved };
          return networks.put(create(NetworkSchema, init));
        },
        deleteNetwork({ name }) {
          const [used] = Object.keys(networks.get(name).reservedNetworkInterfaces);
          if (used !== undefined) refuse(`network "${name}" is used by interface "${used}"`);
          networks.delete(name);
          return {};
        },
        async *watchNetworks({ name }, { signal }) {
          for await (const change of networks.watch(name, signal)) {
            if (change === undefined) yield { synced: true };
            else yield typeof change === "string" ? { deletedName: change } : { network: change };
          }
        },
      });
    },
  };
}
