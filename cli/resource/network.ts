import { NetworkService } from "../../src/gen/n0stack/pool/v0/network_pb.ts";
import { cell } from "../table.ts";
import { KIND } from "./kinds.ts";
import { namedColumns, type Resource, transactionColumn } from "./resource.ts";

export const network: Resource = {
  ...KIND.network,
  service: NetworkService,
  columns: [
    ...namedColumns,
    cell("ipv4_cidr"),
    cell("ipv6_cidr"),
    transactionColumn,
    { ...cell("domain"), isWide: true },
    { ...cell("annotations"), isWide: true },
  ],
};
