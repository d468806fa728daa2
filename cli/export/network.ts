import { NetworkInterfaceSchema } from "../../src/gen/n0stack/budget/v0/network_interface_pb.ts";
import {
  ApplyNetworkRequestSchema,
  type Network,
  NetworkSchema,
  ReserveNetworkInterfaceRequestSchema,
} from "../../src/gen/n0stack/pool/v0/network_pb.ts";
import { hardwareAddressOfName } from "../../src/util/virtual-machine-names.ts";
import { applyNetwork } from "./names.ts";
import { sharing } from "./sharing.ts";
import { argsOf, type ExportTask, texts } from "./task.ts";
import type { World } from "./world.ts";

/** The network, its interfaces that a user has reserved by hand, and who else may use it. */
export function networkTasks(world: World, network: Network): readonly ExportTask[] {
  const { name, annotations } = network;
  const of = { kind: "network", name } as const;
  const apply = applyNetwork(name);
  const args = argsOf(ApplyNetworkRequestSchema, NetworkSchema, network, {
    annotations: texts(annotations),
    labels: texts(network.labels),
  });
  return [
    { name: apply, of, action: "ApplyNetwork", args, after: [] },
    ...reservations(world, network),
    ...sharing("network", network, apply),
  ];
}

/** A gateway is reserved with its network, and the interface of a nic with its virtual machine. */
function reservations(world: World, network: Network): readonly ExportTask[] {
  const { name } = network;
  const of = { kind: "network", name } as const;
  const nics = new Set(
    [...world.virtualMachines.values()].flatMap(({ nics: all, networkInterfaceNames }) =>
      networkInterfaceNames.filter((_, i) => all[i]?.networkName === name),
    ),
  );
  const byHand = Object.entries(network.reservedNetworkInterfaces).filter(
    ([one]) => one !== "default-gateway" && !one.includes("~") && !nics.has(one),
  );
  return byHand
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([one, reserved]) => {
      const scoped = { scope: network.project, name };
      const isUsual = reserved.hardwareAddress === hardwareAddressOfName(scoped, one);
      const args = argsOf(ReserveNetworkInterfaceRequestSchema, NetworkInterfaceSchema, reserved, {
        network_name: name,
        network_interface_name: one,
        annotations: texts(reserved.annotations),
        ...(isUsual ? { hardware_address: undefined } : {}),
        ...addressesNotWanted(network, reserved),
      });
      const task = `reserve-interface-${name}/${one}`;
      const action = "ReserveNetworkInterface";
      return { name: task, of, action, args, after: [applyNetwork(name)] };
    });
}

/** `none` for a family that the network has and the interface does not: to leave it out asks for an address. */
export function addressesNotWanted(
  network: Pick<Network, "ipv4Cidr" | "ipv6Cidr"> | undefined,
  { ipv4Address, ipv6Address }: { readonly ipv4Address: string; readonly ipv6Address: string },
) {
  const isWithout4 = (network?.ipv4Cidr ?? "") !== "" && ipv4Address === "";
  const isWithout6 = (network?.ipv6Cidr ?? "") !== "" && ipv6Address === "";
  return {
    ...(isWithout4 ? { ipv4_address: "none" } : {}),
    ...(isWithout6 ? { ipv6_address: "none" } : {}),
  };
}
