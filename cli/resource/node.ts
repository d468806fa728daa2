import { NodeService } from "../../src/gen/n0stack/pool/v0/node_pb.ts";
import { bytesOf, cell, milliOf } from "../table.ts";
import { KIND } from "./kinds.ts";
import { namedColumns, type Resource, transactionColumn } from "./resource.ts";

export const node: Resource = {
  ...KIND.node,
  service: NodeService,
  columns: [
    ...namedColumns,
    cell("address"),
    milliOf("cpu_milli_cores"),
    bytesOf("memory_bytes"),
    bytesOf("storage_bytes"),
    transactionColumn,
    { ...cell("accelerator"), isWide: true },
    { ...cell("ipmi_address"), isWide: true },
    { ...cell("serial"), isWide: true },
    { ...cell("last_heartbeat_at"), isWide: true },
  ],
};
