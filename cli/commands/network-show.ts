import { create } from "@bufbuild/protobuf";
import { Command } from "commander";
import { Visibility } from "../../src/gen/n0stack/iam/v1alpha1/visibility_pb.ts";
import {
  GetNetworkUseRequestSchema,
  type GetNetworkUseResponse,
  GetNetworkUseResponseSchema,
  InterfaceUse_Holder as Holder,
  type InterfaceUse,
  NetworkUseService,
} from "../../src/gen/n0stack/network/v1alpha1/network_use_pb.ts";
import { callUnary } from "../call.ts";
import type { CliContext } from "../context.ts";
import { withExamples } from "../examples.ts";
import { formatValue, messageToJson } from "../output.ts";
import { type Column, cell, formatTable } from "../table.ts";

/** More interfaces than most networks have: then the answer is what was true at one moment. */
const PAGE_SIZE = 5_000;

const COUNTS: readonly Column[] = [
  cell("cidr"),
  cell("gateway"),
  cell("used"),
  cell("free"),
  cell("free_outside_reserved_ranges"),
];
const INTERFACES: readonly Column[] = [
  cell("ipv4_address"),
  { ...cell("ipv6_address"), isRare: true },
  { ...cell("secondary_addresses"), isRare: true },
  { ...cell("allowed_addresses"), isRare: true },
  cell("used_by"),
  cell("node"),
  cell("security_groups"),
  { ...cell("hardware_address"), isWide: true },
];

export function networkShowCommand(cli: CliContext): Command {
  const command = new Command("show")
    .description("show who uses which addresses of a network, and how many are free")
    .argument("<name>");
  withExamples(command, ["network show lab", "network show default/lab --project acme -o json"]);
  return command.action(async (name: string) => {
    const use = await readUse(cli, name);
    const format = cli.format();
    if (format === "table" || format === "wide") {
      cli.io.stdout.print(textOf(use, format === "wide"));
    } else if (format === "name") cli.io.stdout.print(`${use.network?.name ?? ""}\n`);
    else {
      const json = messageToJson(GetNetworkUseResponseSchema, use);
      cli.io.stdout.print(await formatValue(format, json));
    }
  });
}

/** The first page, with the interfaces of all pages. */
async function readUse(cli: CliContext, networkName: string): Promise<GetNetworkUseResponse> {
  const page = async (pageToken: string) => {
    const fields = { networkName, pageSize: PAGE_SIZE, pageToken };
    const request = create(GetNetworkUseRequestSchema, fields);
    return await callUnary(cli, NetworkUseService.method.getNetworkUse, request);
  };
  const use = await page("");
  while (use.nextPageToken !== "") {
    const { interfaces, nextPageToken } = await page(use.nextPageToken);
    use.interfaces.push(...interfaces);
    use.nextPageToken = nextPageToken;
  }
  return use;
}

function textOf(
  { network, addressCounts, nodeNames, interfaces }: GetNetworkUseResponse,
  isWide: boolean,
) {
  const facts: readonly (readonly [label: string, text: string])[] = [
    ["network", network?.name ?? ""],
    ["project", network?.project ?? ""],
    ["visibility", visibilityOf(network)],
    ["domain", network?.domain ?? ""],
    ["nameservers", network?.nameservers.join(", ") ?? ""],
    ["nodes", nodeNames.join(", ")],
    ["vni", network === undefined || network.vni === 0 ? "" : String(network.vni)],
    ["mtu", network === undefined || network.mtu === 0 ? "" : String(network.mtu)],
    ["isolated", network?.isolated === true ? "its guests stay on their nodes" : ""],
    ["reserved ranges", network?.reservedRanges.join(", ") ?? ""],
  ];
  const lines = facts
    .filter(([, text]) => text !== "")
    .map(([label, text]) => `${`${label}:`.padEnd(17)}${text}\n`);
  const counts = addressCounts.map((count) => ({
    cidr: count.cidr,
    gateway: count.gatewayAddress,
    used: count.used,
    free: count.free,
    free_outside_reserved_ranges: count.freeOutsideReservedRanges,
  }));
  const rows = interfaces.map((one) => ({
    ipv4_address: one.ipv4Address,
    ipv6_address: one.ipv6Address,
    secondary_addresses: one.secondaryAddresses.join(", "),
    allowed_addresses: one.allowedAddresses.join(", "),
    used_by: userOf(one),
    node: one.nodeName,
    security_groups: one.securityGroupsOff ? "off" : one.securityGroups,
    hardware_address: one.hardwareAddress,
  }));
  const tables = [formatTable(COUNTS, isWide, counts), formatTable(INTERFACES, isWide, rows)];
  return [lines.join(""), ...tables].join("\n");
}

function visibilityOf(network: GetNetworkUseResponse["network"]): string {
  switch (network?.visibility) {
    case Visibility.PUBLIC:
      return "all projects";
    case Visibility.PROJECTS:
      // Only its own project sees which.
      return ["shared with projects", network.visibleTo.join(", ")].join(" ").trim();
    default:
      return "its own project";
  }
}

function userOf({ holder, name, object, nicIndex }: InterfaceUse): string {
  switch (holder) {
    case Holder.GATEWAY:
      return "the gateway";
    case Holder.OBJECT:
      return `${object}, nic ${nicIndex}`;
    case Holder.USER:
      return `${name}, reserved by hand`;
    case Holder.OTHER_PROJECT:
      return "another project";
    default:
      return name;
  }
}
