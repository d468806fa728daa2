import { create } from "@bufbuild/protobuf";
import { NetworkInterfaceSchema } from "../../../gen/n0stack/budget/v0/network_interface_pb.ts";
import {
  type ReserveNetworkInterfaceRequest,
  ReserveNetworkInterfaceRequestSchema,
} from "../../../gen/n0stack/pool/v0/network_pb.ts";
import { canonicalAddress } from "../../../util/cidr.ts";
import { type Different, differencesIn } from "../../core/resource/differences.ts";
import { isNoAddress } from "./choose-address.ts";
import type { InterfaceReservation } from "./collection.ts";

/** What a request to reserve the interface asks for, and is not so. */
export function differentOf(
  key: string,
  { annotations, ...asked }: ReserveNetworkInterfaceRequest,
  present: InterfaceReservation,
): Different {
  const { hardwareAddress, ipv4Address, ipv6Address } = present;
  const is = create(NetworkInterfaceSchema, {
    ...{ hardwareAddress, ipv4Address, ipv6Address },
    annotations: { ...present.annotations },
  });
  const wanted = create(NetworkInterfaceSchema, {
    annotations,
    hardwareAddress: wantedHardwareAddress(asked.hardwareAddress, hardwareAddress),
    ipv4Address: wantedAddress(asked.ipv4Address, ipv4Address),
    ipv6Address: wantedAddress(asked.ipv6Address, ipv6Address),
  });
  const schemas = [ReserveNetworkInterfaceRequestSchema, NetworkInterfaceSchema] as const;
  return { key, differences: differencesIn(...schemas, wanted, is) };
}

/** The address that is asked for; the present one, if the request leaves the choice to the API. */
export function wantedAddress(asked: string, present: string): string {
  if (asked === "") return present;
  return isNoAddress(asked) ? "" : canonicalAddress(asked);
}

/** The same for a hardware address. */
export function wantedHardwareAddress(asked: string, present: string): string {
  return asked === "" ? present : asked.toLowerCase();
}
