import { cell } from "../table.ts";
import { defineResource, namedColumns, transactionColumn } from "./define.ts";

export const network = defineResource({
  name: "network",
  aliases: ["net"],
  summary: "networks of virtual machines",
  examples: ["network get", "network show lab", "network apply lab --ipv4_cidr 10.1.0.0/24"],
  loadService: async () =>
    (await import("../../src/gen/n0stack/pool/v0/network_pb.ts")).NetworkService,
  columns: [
    ...namedColumns,
    cell("ipv4_cidr"),
    cell("ipv6_cidr"),
    { ...cell("project"), isWide: true },
    { ...cell("visibility"), isRare: true },
    transactionColumn,
    { ...cell("domain"), isWide: true },
    { ...cell("reserved_ranges"), isWide: true },
    { ...cell("vni"), isWide: true },
    { ...cell("mtu"), isWide: true },
    { ...cell("isolated"), isWide: true },
    { ...cell("nat_off"), isWide: true },
    { ...cell("annotations"), isWide: true },
  ],
  calls: [
    {
      name: "apply",
      aliases: ["create"],
      rpc: "ApplyNetwork",
      makes: true,
      summary: "make or change a network",
      examples: [
        "network apply lab --ipv4_cidr 10.1.0.0/24 --domain lab.example",
        "network apply lab --ipv4_cidr 10.1.0.0/24 --labels team=blue --labels stage=test",
        "network apply lab --ipv4_cidr 10.1.0.0/24 --ipv6_cidr fd00:1::/64",
        "network apply lab --ipv4_cidr 10.1.0.0/24 --reserved_ranges 10.1.0.200-10.1.0.250",
        "network apply lab --ipv4_cidr 10.1.0.0/24 --mtu 8950",
        "network apply lab --ipv4_cidr 10.1.0.0/24 --isolated",
        "network apply lab --ipv4_cidr 10.1.0.0/24 --nat_off",
      ],
    },
    {
      name: "delete",
      rpc: "DeleteNetwork",
      summary: "delete a network that no virtual machine uses",
      examples: ["network delete lab"],
    },
  ],
  async commands(cli) {
    const { networkShowCommand } = await import("../commands/network-show.ts");
    const { networkTraceCommand } = await import("../commands/network-trace.ts");
    const { shareCommand } = await import("../commands/share.ts");
    const { NetworkService } = await import("../../src/gen/n0stack/pool/v0/network_pb.ts");
    return [
      networkShowCommand(cli),
      networkTraceCommand(cli),
      shareCommand(cli, "network", NetworkService.method.setNetworkVisibility),
    ];
  },
});
