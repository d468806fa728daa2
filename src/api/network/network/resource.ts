import { NetworkSchema, NetworkService } from "../../../gen/n0stack/pool/v0/network_pb.ts";
import { defineResource } from "../../core/resource/resource.ts";
import type { Api } from "../context.ts";
import { addAddresses } from "../interface/change-addresses.ts";
import {
  addresses,
  hardwareAddresses,
  interfaceAllocations,
  interfaces,
  taps,
} from "../interface/collection.ts";
import { reserveInterface } from "../interface/interfaces.ts";
import { interfaceCounting } from "../interface/quota.ts";
import {
  releaseNetworkInterface,
  reserveNetworkInterface,
} from "../interface/reserve-interface.ts";
import { vnis } from "../segment/collection.ts";
import { applyNetwork } from "./apply.ts";
import { networkAudit } from "./audit.ts";
import { networks } from "./collection.ts";
import { deleteNetwork, forgetInterfaces, withProject } from "./delete.ts";
import {
  changeGateways,
  restoreNetwork,
  restoreSegment,
  settleRules,
  sweep,
} from "./node-network-steps.ts";
import { pageToWire, toWire, toWireElsewhere } from "./record.ts";
import { setNetworkVisibility } from "./share.ts";

export const network = defineResource({
  word: "network",
  service: NetworkService,
  schema: NetworkSchema,
  collection: networks,
  records: [interfaces, addresses, hardwareAddresses, taps, vnis],
  marksOnly: true,
  quota: { networks: 1n },
  counts: [interfaceCounting],
  traces: [interfaceAllocations],
  withProject,
  givesRoom: ["deleteNetwork", "releaseNetworkInterface"],
  steps: {
    steps: [reserveInterface, addAddresses, changeGateways],
    retriables: [restoreNetwork, restoreSegment, sweep, settleRules, forgetInterfaces],
  },
  view: toWire,
  viewPage: pageToWire,
  viewElsewhere: toWireElsewhere,
  shows: [interfaces],
  audit: networkAudit,
  routes: (api: Api) => ({
    applyNetwork: (request, call) => applyNetwork(api, call, request),
    deleteNetwork: async ({ name }, call) => {
      await deleteNetwork(api, call, name);
      return {};
    },
    reserveNetworkInterface: (request, call) => reserveNetworkInterface(api, call, request),
    setNetworkVisibility: (request, call) => setNetworkVisibility(api, call, request),
    releaseNetworkInterface: async (request, call) => {
      await releaseNetworkInterface(api, call, request);
      return {};
    },
  }),
});
