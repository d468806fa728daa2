import { bytesOf, cell, milliOf } from "../table.ts";
import { type CallSpec, defineResource, namedColumns, transactionColumn } from "./define.ts";

const RECORD_CALLS: readonly CallSpec[] = [
  {
    name: "create",
    rpc: "CreateVirtualMachine",
    makes: true,
    files: ["user_data"],
    summary: "make a virtual machine and start it",
    examples: [
      "vm create web-1 --request_cpu_milli_core 100 --limit_cpu_milli_core 1000 \\\n" +
        "      --request_memory_bytes 512MiB --limit_memory_bytes 512MiB \\\n" +
        "      --block_storage_names web-1 --nics network_name=lab,ipv4_address=10.1.0.10 \\\n" +
        '      --login_username n0 --ssh_authorized_keys "$(cat ~/.ssh/id_ed25519.pub)"',
      "vm create web-2 --request_cpu_milli_core 1000 --request_memory_bytes 512MiB \\\n" +
        "      --block_storage_names web-2 --hostname web.example.com --user_data cloud-config.yaml",
    ],
  },
  {
    name: "update",
    rpc: "UpdateVirtualMachine",
    files: ["user_data"],
    summary:
      "change labels and annotations; while it is shut down, or by a restart, also its size, its block storages and what its guest is told",
    examples: [
      "vm update web-1 --labels stage=live",
      "vm update web-1 --request_memory_bytes 1GiB --limit_memory_bytes 1GiB --restart",
      "vm update web-1 --hostname web.example.com --user_data cloud-config.yaml",
      "vm update web-1 --update_mask user_data",
    ],
  },
  {
    name: "delete",
    rpc: "DeleteVirtualMachine",
    summary: "delete a virtual machine; its block storages remain",
    examples: ["vm delete web-1"],
  },
];

const NIC_CALLS: readonly CallSpec[] = [
  {
    name: "attach-nic",
    rpc: "AttachNic",
    summary: "give a virtual machine another nic, also while it runs",
    examples: ["vm attach-nic web-1 --nic network_name=lab,ipv4_address=10.1.0.11"],
  },
  {
    name: "set-security-groups",
    rpc: "SetSecurityGroups",
    args: ["name", "network_interface_name"],
    summary: "put a nic into other security groups, also while the virtual machine runs",
    examples: [
      "vm set-security-groups web-1 web-10 --security_groups web,default",
      "vm set-security-groups web-1 web-10 --security_groups_off",
    ],
  },
  {
    name: "detach-nic",
    rpc: "DetachNic",
    args: ["name", "network_interface_name"],
    summary: "take a nic from a virtual machine; if it runs, its guest must release the nic",
    examples: ["vm detach-nic web-1 web-11"],
  },
  {
    name: "set-nic-addresses",
    rpc: "SetNicAddresses",
    args: ["name", "network_interface_name"],
    summary:
      "change the secondary and allowed addresses of a nic, also while its guest runs; without flags, it has none",
    examples: [
      "vm set-nic-addresses web-1 web-10 --secondary_addresses 10.1.0.20,ipv4",
      "vm set-nic-addresses web-1 web-10 --allowed_addresses 10.1.0.100",
      "vm set-nic-addresses web-1 web-10",
    ],
  },
  {
    name: "set-nic-limits",
    rpc: "SetNicLimits",
    args: ["name", "network_interface_name"],
    summary:
      "change what a nic may send and receive, also while its guest runs; without flags, all",
    examples: [
      "vm set-nic-limits web-1 web-10 --ingress_bits_per_second 100M --egress_bits_per_second 20M",
      "vm set-nic-limits web-1 web-10",
    ],
  },
];

const POWER_CALLS: readonly CallSpec[] = [
  {
    name: "boot",
    aliases: ["resume"],
    rpc: "BootVirtualMachine",
    summary: "start a virtual machine, or resume a paused one",
    examples: ["vm boot web-1"],
  },
  {
    name: "reboot",
    rpc: "RebootVirtualMachine",
    summary:
      "restart a virtual machine; --hard does not ask the guest, and also resumes a paused one",
    examples: ["vm reboot web-1", "vm reboot web-1 --hard"],
  },
  {
    name: "shutdown",
    rpc: "ShutdownVirtualMachine",
    summary: "press the power button until the virtual machine is off; --hard cuts its power",
    examples: ["vm shutdown web-1 --deadline_seconds 30", "vm shutdown web-1 --hard"],
  },
  {
    name: "save",
    rpc: "SaveVirtualMachine",
    summary: "pause a virtual machine; boot resumes it",
    examples: ["vm save web-1"],
  },
];

export const virtualMachine = defineResource({
  name: "virtual_machine",
  aliases: ["vm"],
  summary: "virtual machines: create, boot, shut down, log in, …",
  examples: ["vm get", "vm create --help", "vm ssh web-1", "vm delete web-1"],
  loadService: async () =>
    (await import("../../src/gen/n0stack/provisioning/v0/virtual_machine_pb.ts"))
      .VirtualMachineService,
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
    { ...cell("hostname"), isWide: true },
    { ...cell("uuid"), isWide: true },
  ],
  calls: [...RECORD_CALLS, ...NIC_CALLS, ...POWER_CALLS],
  async commands(cli) {
    const modules = await Promise.all([
      import("../commands/virtual-machine-console.ts"),
      import("../commands/virtual-machine-log.ts"),
      import("../commands/virtual-machine-ssh.ts"),
      import("../commands/virtual-machine-forward.ts"),
    ]);
    const [{ consoleCommand }, { logCommand }, { sshCommand }, { forwardCommand }] = modules;
    return [consoleCommand(cli), logCommand(cli), sshCommand(cli), forwardCommand(cli)];
  },
});
