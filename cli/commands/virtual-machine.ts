import type { CliContext } from "../context.ts";
import { getCommand } from "../get-command.ts";
import { unaryMethod } from "../resource/resource.ts";
import { virtualMachine } from "../resource/virtual-machine.ts";
import type { RpcCommandSpec } from "../rpc-command.ts";
import { groupCommand, rpcCommand } from "../rpc-command.ts";
import { consoleCommand } from "./virtual-machine-console.ts";
import { forwardCommand } from "./virtual-machine-forward.ts";
import { logCommand } from "./virtual-machine-log.ts";
import { sshCommand } from "./virtual-machine-ssh.ts";

export function virtualMachineCommand(cli: CliContext) {
  return groupCommand(
    ["virtual_machine", "vm"],
    "virtual machines",
    [
      getCommand(cli, virtualMachine),
      ...[...RECORD_SPECS, ...POWER_SPECS].map((spec) => rpcCommand(cli, spec)),
      consoleCommand(cli),
      logCommand(cli),
      sshCommand(cli),
      forwardCommand(cli),
    ],
    ["vm get", "vm create --help", "vm ssh web-1", "vm delete web-1"],
  );
}

const RECORD_SPECS: readonly RpcCommandSpec[] = [
  {
    name: "create",
    method: unaryMethod(virtualMachine, "CreateVirtualMachine"),
    summary: "make a virtual machine and start it",
    examples: [
      "vm create web-1 --request_cpu_milli_core 100 --limit_cpu_milli_core 1000 \\\n" +
        "      --request_memory_bytes 512MiB --limit_memory_bytes 512MiB \\\n" +
        "      --block_storage_names web-1 --nics network_name=lab,ipv4_address=10.1.0.10 \\\n" +
        '      --login_username n0 --ssh_authorized_keys "$(cat ~/.ssh/id_ed25519.pub)"',
    ],
  },
  {
    name: "update",
    method: unaryMethod(virtualMachine, "UpdateVirtualMachine"),
    summary: "change labels and annotations, or, when it is shut down, its size and disks",
    examples: [
      "vm update web-1 --labels stage=live",
      "vm update web-1 --request_memory_bytes 1GiB --limit_memory_bytes 1GiB",
    ],
  },
  {
    name: "delete",
    method: unaryMethod(virtualMachine, "DeleteVirtualMachine"),
    summary: "delete a virtual machine; its disks stay",
    examples: ["vm delete web-1"],
  },
];

const POWER_SPECS: readonly RpcCommandSpec[] = [
  {
    name: "boot",
    aliases: ["resume"],
    method: unaryMethod(virtualMachine, "BootVirtualMachine"),
    summary: "start it, or let it go on when it is paused",
    examples: ["vm boot web-1"],
  },
  {
    name: "reboot",
    method: unaryMethod(virtualMachine, "RebootVirtualMachine"),
    summary: "restart it; --hard does not ask the guest, and lets a paused one run",
    examples: ["vm reboot web-1", "vm reboot web-1 --hard"],
  },
  {
    name: "shutdown",
    method: unaryMethod(virtualMachine, "ShutdownVirtualMachine"),
    summary: "press its power button until it is off; --hard pulls the plug",
    examples: ["vm shutdown web-1 --deadline_seconds 30", "vm shutdown web-1 --hard"],
  },
  {
    name: "save",
    method: unaryMethod(virtualMachine, "SaveVirtualMachine"),
    summary: "pause it; boot lets it go on",
    examples: ["vm save web-1"],
  },
];
