import { type CallKind, call, read } from "../../../../test/sim/call-kind.ts";
import { labels, visibility } from "../../../../test/sim/fields.ts";
import { namesOf } from "../../../../test/sim/view.ts";
import { NetworkUseService } from "../../../gen/n0stack/network/v1alpha1/network_use_pb.ts";
import { VLAN_ID } from "../../core/annotations.ts";
import { interfaces } from "../interface/collection.ts";

export const calls: Readonly<Record<string, CallKind>> = {
  ApplyNetwork: call(
    2.5,
    (view) => {
      const name = view.choose([], namesOf("net"));
      // Mostly its own, sometimes another's: networks with the same addresses must never meet.
      const third = view.dice.chance(0.9) ? Number(name.slice("net-".length)) : view.dice.below(3);
      // Mostly unchanged; a change fits only while the network is not used.
      const ipv4Cidr = `10.0.${third}.0/${view.dice.chance(0.9) ? 28 : 27}`;
      const ipv6 = `fd00:${third}:0:${view.dice.below(2)}`;
      const hasIpv6 = view.dice.chance(0.1);
      const request = { name, ipv4Cidr, ipv6Cidr: hasIpv6 ? `${ipv6}::/64` : "" };
      // At the end from which addresses are chosen.
      const ranges = [
        `10.0.${third}.9-10.0.${third}.12`,
        ...(hasIpv6 ? [`${ipv6}:ffff::/80`] : []),
      ];
      const reservedRanges = view.dice.chance(0.5) ? ranges : [];
      const isolated = name.endsWith("2");
      const natOff = view.dice.chance(0.2);
      const annotations = isolated || view.dice.chance(0.7) ? {} : { [VLAN_ID]: name.slice(-1) };
      // Always the same: another one makes the seeds of virtual machines stale.
      const domain = name.endsWith("1") ? "" : `${name}.internal`;
      const nameservers = view.dice.chance(0.2) ? [`10.0.${third}.3`, "2001:db8::53"] : [];
      const its = { reservedRanges, isolated, natOff, annotations, labels: labels(view) };
      return { ...request, ...its, domain, nameservers };
    },
    (c, request, options) => c.networks.applyNetwork(request, options),
  ),
  SetNetworkVisibility: call(
    2.5,
    (view) => ({ name: view.network(), ...visibility(view) }),
    (c, request, options) => c.networks.setNetworkVisibility(request, options),
  ),
  DeleteNetwork: call(
    1,
    (view) => ({ name: view.network() }),
    (c, request, options) => c.networks.deleteNetwork(request, options),
  ),
  ReserveNetworkInterface: call(
    4,
    (view) => {
      const machine = `${view.choose([], namesOf("vm"))}${view.dice.below(2)}`;
      const networkInterfaceName = view.dice.chance(0.4) ? machine : view.choose([], namesOf("if"));
      return { networkName: view.network(), networkInterfaceName };
    },
    (c, request, options) => c.networks.reserveNetworkInterface(request, options),
  ),
  ReleaseNetworkInterface: call(
    4,
    (view) => {
      const reserved = view.byHand(interfaces).map((parts) => parts.join("/"));
      const chosen = view.choose(reserved, ["net-0/if-0", "net-1/vm-00"]);
      const [networkName = "", networkInterfaceName = ""] = chosen.split("/");
      return { networkName, networkInterfaceName };
    },
    (c, request, options) => c.networks.releaseNetworkInterface(request, options),
  ),
  GetNetworkUse: read(
    1,
    (view) => ({ networkName: view.networkToUse(), pageSize: view.dice.below(4) }),
    (c, request, options) => c.client(NetworkUseService).getNetworkUse(request, options),
  ),
  ListNetworks: read(
    1,
    (view) => ({ withShared: view.dice.chance(0.5) }),
    (c, request, options) => c.networks.listNetworks(request, options),
  ),
};
