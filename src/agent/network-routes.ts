import type { ConnectRouter, HandlerContext } from "@connectrpc/connect";
import type { NetworkSpec } from "../driver/network/network-driver.ts";
import type { NetworkServices } from "../driver/network/network-services.ts";
import type {
  ConnectRequest,
  NodeNetwork,
  NetworkServices as WireServices,
} from "../gen/n0stack/agent/v1alpha1/network_pb.ts";
import { NetworkAgentService } from "../gen/n0stack/agent/v1alpha1/network_pb.ts";
import { defined, nonEmpty } from "../util/defined.ts";
import { invalid, N0Error } from "../util/errors.ts";
import type { AgentDeps } from "./agent-deps.ts";
import { change, keys, makerOf, required } from "./change.ts";
import { groupsFromWire } from "./group-messages.ts";
import { dataOf, pipe, takeFirst } from "./pipe.ts";
import { limitsFromWire, portFromWire } from "./port-messages.ts";

export function networkRoutes(router: ConnectRouter, deps: AgentDeps): void {
  const { network, queue, segments } = deps;

  router.service(NetworkAgentService, {
    async ensureTap({ tapName, operation }) {
      await change(queue, keys.tap(tapName), operation, (mark, signal) =>
        network.ensureTap(tapName, mark, signal),
      );
      return {};
    },

    async ensureTapOut({ tapName, operation }) {
      await change(queue, keys.tap(tapName), operation, (mark, signal) =>
        network.ensureTapOut(tapName, mark, signal),
      );
      return {};
    },

    async ensureTapAttached(request) {
      const { tapName, operation } = request;
      const spec = networkFromWire(required("network", request.network));
      const port = portFromWire(request);
      const attached = await change(queue, keys.tap(tapName), operation, async (_mark, signal) => {
        const done = await network.ensureAttached(tapName, spec, signal, port);
        await segments.restore(spec.name, signal);
        return done;
      });
      return { needsMembers: attached === "needs_members" };
    },

    async pushGroups({ networks }, { signal }) {
      const refusals = [];
      for (const wanted of networks) {
        const { networkName } = wanted;
        try {
          await network.applyGroups(networkName, groupsFromWire(wanted), signal);
        } catch (error) {
          signal.throwIfAborted();
          deps.log.warn("cannot apply security groups", { networkName, error });
          refusals.push({ networkName, reason: messageOf(error) });
        }
      }
      return { refusals };
    },

    async ensureTapLimits({ tapName, networkName, operation, limits }) {
      const wanted = limitsFromWire(required("limits", limits));
      await change(queue, keys.tap(tapName), operation, (_mark, signal) =>
        network.ensureLimits(tapName, networkName, wanted, signal),
      );
      return {};
    },

    async ensureGateways(request) {
      const spec = networkFromWire(required("network", request.network));
      await change(queue, keys.network(spec.name), request.operation, async (_mark, signal) => {
        await network.ensureGateways(spec, signal);
        // Its DNS may just have begun.
        await segments.restore(spec.name, signal);
      });
      return {};
    },

    async ensureTapAbsent({ tapName, networkName, operation, onlyOfTransaction }) {
      await change(queue, keys.tap(tapName), operation, (mark, signal) =>
        network.ensureTapAbsent(tapName, networkName, makerOf(mark, onlyOfTransaction), signal),
      );
      return {};
    },

    async pushSegments(request, { signal }) {
      return { answers: await segments.push(request, signal) };
    },

    async listTaps(_request, { signal }) {
      const taps = await network.listTaps(signal);
      return { taps: taps.map(({ mark, ...tap }) => ({ ...tap, ...mark })) };
    },

    async listNodeNetworks(_request, { signal }) {
      const networks = await network.listNetworks(signal);
      return {
        networks: networks.map(({ name, mark, tapNames, gateways }) => ({
          name,
          tapNames: [...tapNames],
          gateways: [...gateways],
          owner: mark.owner,
          transactionId: mark.transactionId,
        })),
      };
    },

    async *connect(requests: AsyncIterable<ConnectRequest>, { signal }: HandlerContext) {
      const { first, others } = await takeFirst(requests);
      const { networkName, address, port } = first;
      if (networkName === "") throw invalid("network_name", "must be set in the first message");
      if (address === "") throw invalid("address", "must be set in the first message");
      if (port === 0) throw invalid("port", "must be set in the first message");
      const connection = await network.connect(networkName, address, port, signal);
      for await (const data of pipe(dataOf(first, others), connection, signal)) yield { data };
    },
  });
}

export function networkFromWire(network: NodeNetwork): NetworkSpec {
  const { name, ipv4Gateway, ipv6Gateway, mtu, natOff, external, services } = network;
  return {
    name,
    ...defined({
      ipv4Gateway: nonEmpty(ipv4Gateway),
      ipv6Gateway: nonEmpty(ipv6Gateway),
      services: services === undefined ? undefined : servicesFromWire(services),
      vlanId: external?.vlanId,
    }),
    ...(mtu === 0 ? {} : { mtu }),
    ...(natOff ? { isNatOff: true } : {}),
  };
}

function servicesFromWire({ domain, nameservers }: WireServices): NetworkServices {
  return { ...defined({ domain: nonEmpty(domain) }), nameservers };
}

/** For the API. The log of the agent has the rest. */
function messageOf(error: unknown): string {
  return error instanceof N0Error
    ? error.message
    : "the node cannot apply them: see the log of its agent";
}
