import { VirtualMachineService } from "../../src/gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { bytesOf, cell, milliOf } from "../table.ts";
import { KIND } from "./kinds.ts";
import { namedColumns, type Resource, transactionColumn } from "./resource.ts";

export const virtualMachine: Resource = {
  ...KIND.virtualMachine,
  service: VirtualMachineService,
  columns: [
    ...namedColumns,
    { ...cell("state_reason"), header: "REASON", isRare: true },
    milliOf("request_cpu_milli_core"),
    milliOf("limit_cpu_milli_core"),
    bytesOf("request_memory_bytes"),
    { ...bytesOf("limit_memory_bytes"), isWide: true },
    { ...cell("compute_node_name"), header: "NODE" },
    { ...cell("nics.ipv4_address"), header: "ADDRESSES" },
    transactionColumn,
    { ...cell("block_storage_names"), isWide: true },
    { ...cell("login_username"), isWide: true },
    { ...cell("uuid"), isWide: true },
  ],
};
