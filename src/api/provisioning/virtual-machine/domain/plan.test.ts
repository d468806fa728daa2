import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { networkRef, vmRef } from "../../../../../test/refs.ts";
import { NetworkSchema } from "../../../../gen/n0stack/pool/v0/network_pb.ts";
import { VirtualMachineSchema } from "../../../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { IS_GATEWAY } from "../../../core/annotations.ts";
import { planOf } from "./plan.ts";
import type { PlanInput } from "./plan-input.ts";

const input: PlanInput = {
  volumeIds: new Map([
    ["data", "data.1"],
    ["root", "root.1"],
    ["other", "other.1"],
  ]),
  nics: [
    {
      ref: networkRef("a"),
      network: create(NetworkSchema, {
        name: "a",
        ipv4Cidr: "10.0.0.0/24",
        domain: "example.internal",
      }),
      tapName: "n0-a",
      pciSlot: 3,
    },
    {
      ref: networkRef("b"),
      network: create(NetworkSchema, { name: "b", ipv4Cidr: "10.1.0.0/24", ipv6Cidr: "fd00::/64" }),
      tapName: "n0-b",
      pciSlot: 4,
    },
  ],
  userKeys: ["ssh-ed25519 AAAA user", "ssh-ed25519 BBBB both"],
  nameservers: ["192.0.2.53"],
};

function machine(fields: MessageInitShape<typeof VirtualMachineSchema> = {}) {
  return create(VirtualMachineSchema, {
    name: "web_1.",
    computeNodeName: "n1",
    limitCpuMilliCore: 2000,
    requestCpuMilliCore: 500,
    limitMemoryBytes: 1n << 30n,
    blockStorageNames: ["root", "data"],
    sshAuthorizedKeys: ["ssh-ed25519 BBBB both"],
    nics: [
      { networkName: "a", hardwareAddress: "52:54:00:00:00:01", ipv4Address: "10.0.0.1" },
      {
        networkName: "b",
        hardwareAddress: "52:54:00:00:00:02",
        ipv4Address: "10.1.0.1",
        ipv6Address: "fd00::2",
      },
    ],
    ...fields,
  });
}

test("a domain has its disks in the order of its record, and no others that were read", () => {
  expect(planOf(vmRef("web_1."), machine(), input).domain).toMatchObject({
    vcpus: 2,
    cpuMilliCores: 500,
    memoryBytes: "1073741824",
    volumeIds: ["root.1", "data.1"],
    nics: [
      { tapName: "n0-a", hardwareAddress: "52:54:00:00:00:01", pciSlot: 3 },
      { tapName: "n0-b", hardwareAddress: "52:54:00:00:00:02", pciSlot: 4 },
    ],
  });
});

test("a disk that was not read is an error of ours", () => {
  const vm = machine({ blockStorageNames: ["lost"] });
  expect(() => planOf(vmRef("web_1."), vm, input)).toThrow('block storage "lost" was not read');
});

test("a guest is told each key once, a host name that may be one, and one default route", () => {
  const { seed } = planOf(vmRef("web_1."), machine(), input);
  expect(seed).toMatchObject({
    hostname: "web-1",
    sshAuthorizedKeys: ["ssh-ed25519 BBBB both", "ssh-ed25519 AAAA user"],
    nics: [
      { ipv4Gateway: "10.0.0.254", nameservers: ["10.0.0.254", "192.0.2.53"] },
      { ipv4Gateway: "", ipv6Gateway: "", nameservers: [], searchDomains: [] },
    ],
  });
  expect(seed.nics[0]?.searchDomains).toEqual(["example.internal"]);
});

test("the default route is that of the last nic that is annotated for it", () => {
  const [first, second] = machine().nics;
  const nics = [first!, { ...second!, annotations: { [IS_GATEWAY]: "true" } }];
  expect(planOf(vmRef("web_1."), machine({ nics }), input).seed.nics).toMatchObject([
    { ipv4Gateway: "", ipv6Gateway: "", nameservers: [] },
    {
      ipv4Gateway: "10.1.0.254",
      ipv6Gateway: "fd00::1",
      nameservers: ["10.1.0.254", "192.0.2.53"],
    },
  ]);
});

test("a tap has the gateways and services of its network, and who the guest is", () => {
  expect(planOf(vmRef("web_1."), machine(), input).taps).toEqual([
    {
      nodeName: "n1",
      tapName: "n0-a",
      ref: vmRef("web_1."),
      network: networkRef("a"),
      ipv4Gateway: "10.0.0.254/24",
      ipv6Gateway: "",
      mtu: 1450,
      natOff: false,
      services: { domain: "example.internal", nameservers: [] },
      identity: { hardwareAddress: "52:54:00:00:00:01", addresses: ["10.0.0.1"] },
      entry: {
        hardwareAddress: "52:54:00:00:00:01",
        name: "web-1",
        ipv4Address: "10.0.0.1",
        ipv6Address: "",
      },
      groups: ["security_group/default"],
    },
    {
      nodeName: "n1",
      tapName: "n0-b",
      ref: vmRef("web_1."),
      network: networkRef("b"),
      ipv4Gateway: "10.1.0.254/24",
      ipv6Gateway: "fd00::1/64",
      mtu: 1450,
      natOff: false,
      services: { domain: "", nameservers: [] },
      identity: { hardwareAddress: "52:54:00:00:00:02", addresses: ["10.1.0.1", "fd00::2"] },
      entry: {
        hardwareAddress: "52:54:00:00:00:02",
        name: "web-1",
        ipv4Address: "10.1.0.1",
        ipv6Address: "fd00::2",
      },
      groups: ["security_group/default"],
    },
  ]);
});

test("in the network of another project, the project follows the name, and nobody is localhost", () => {
  const nameOf = (ref: ReturnType<typeof vmRef>) =>
    planOf(ref, machine(), input).taps.map(({ entry }) => entry?.name)[0];
  expect(nameOf({ ...vmRef("Web.1"), scope: "ac_me" })).toBe("web-1.ac-me");
  expect(nameOf(vmRef("LocalHost"))).toBe("");
});
