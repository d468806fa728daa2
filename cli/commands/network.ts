import type { CliContext } from "../context.ts";
import { getCommand } from "../get-command.ts";
import { network } from "../resource/network.ts";
import { unaryMethod } from "../resource/resource.ts";
import { groupCommand, rpcCommand } from "../rpc-command.ts";

export function networkCommand(cli: CliContext) {
  return groupCommand(
    ["network", "net"],
    "networks of virtual machines",
    [
      getCommand(cli, network),
      rpcCommand(cli, {
        name: "apply",
        aliases: ["create"],
        method: unaryMethod(network, "ApplyNetwork"),
        summary: "make a network, or change it",
        examples: [
          "network apply lab --ipv4_cidr 10.1.0.0/24 --domain lab.example",
          "network apply lab --ipv4_cidr 10.1.0.0/24 --labels team=blue --labels stage=test",
          "network apply lab --ipv4_cidr 10.1.0.0/24 --ipv6_cidr fd00:1::/64",
        ],
      }),
      rpcCommand(cli, {
        name: "delete",
        method: unaryMethod(network, "DeleteNetwork"),
        summary: "delete a network that no virtual machine uses",
        examples: ["network delete lab"],
      }),
    ],
    ["network get", "network apply lab --ipv4_cidr 10.1.0.0/24"],
  );
}
