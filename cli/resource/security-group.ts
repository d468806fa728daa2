import { cell } from "../table.ts";
import { defineResource, namedColumns } from "./define.ts";

export const securityGroup = defineResource({
  name: "security_group",
  aliases: ["sg"],
  summary: "security groups, which say what nics may send and get",
  examples: ["sg get", "do web-tier.yaml", "sg delete web"],
  loadService: async () =>
    (await import("../../src/gen/n0stack/network/v1alpha1/security_group_pb.ts"))
      .SecurityGroupService,
  columns: [
    ...namedColumns,
    cell("rules"),
    { ...cell("log_dropped"), isWide: true },
    { ...cell("project"), isWide: true },
    { ...cell("visibility"), isRare: true },
    { ...cell("annotations"), isWide: true },
  ],
  calls: [
    {
      name: "apply",
      aliases: ["create"],
      rpc: "ApplySecurityGroup",
      makes: true,
      summary: "make a security group, or replace its rules",
      examples: [
        "sg apply web --rules direction=ingress,protocol=tcp,ports=443",
        "sg apply db --rules direction=ingress,protocol=tcp,ports=5432,remote_group=web",
        "sg apply quiet --log_dropped",
      ],
    },
    {
      name: "delete",
      rpc: "DeleteSecurityGroup",
      summary: "delete a security group that no nic has and no rule names",
      examples: ["sg delete web"],
    },
  ],
  async commands(cli) {
    const { shareCommand } = await import("../commands/share.ts");
    const { SecurityGroupService } = await import(
      "../../src/gen/n0stack/network/v1alpha1/security_group_pb.ts"
    );
    return [
      shareCommand(cli, "security group", SecurityGroupService.method.setSecurityGroupVisibility),
    ];
  },
});
