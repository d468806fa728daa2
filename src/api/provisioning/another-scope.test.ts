import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { GiB, webRequest } from "../../../test/scenario.ts";
import { NetworkSchema } from "../../gen/n0stack/pool/v0/network_pb.ts";
import { BlockStorageSchema } from "../../gen/n0stack/provisioning/v0/block_storage_pb.ts";
import {
  CreateVirtualMachineRequestSchema,
  VirtualMachineSchema,
} from "../../gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { systemRandom } from "../../util/random.ts";
import { DEFAULT_SCOPE, VOLUME_ID } from "../../util/ref.ts";
import { newVolumeId, reservationOf } from "./block-storage/make.ts";
import { domainMessage, seedMessage } from "./virtual-machine/domain/domain-messages.ts";
import { planOf } from "./virtual-machine/domain/plan.ts";
import { keysOf } from "./virtual-machine/record.ts";
import { computeReservationOf } from "./virtual-machine/reservations.ts";
import { checkCreate, withLimits } from "./virtual-machine/validate.ts";

// Two virtual machines of one name, and all that they name. Nothing on a node or in the cloud may be both's.
const refIn = (scope: string) => ({ kind: "virtual_machine", scope, name: "web" });
const diskIn = (scope: string) => ({ kind: "block_storage", scope, name: "root" });
const scopes = [DEFAULT_SCOPE, "acme"];

test("what a virtual machine names is in its scope", () => {
  expect(keysOf(refIn("acme"), { blockStorageNames: ["root"] })).toEqual([
    "virtual_machine/acme/web",
    "block_storage/acme/root",
  ]);
});

test("what a node is told of a virtual machine says its scope, but for the default one", () => {
  const vm = create(VirtualMachineSchema, { name: "web", nics: [{ networkName: "net" }] });
  const network = create(NetworkSchema, { name: "net" });
  const nicIn = (scope: string) => {
    return { ref: { kind: "network", scope, name: "net" }, network, tapName: "web0", pciSlot: 3 };
  };
  const others = { volumeIds: new Map(), userKeys: [], nameservers: [] };
  const plans = scopes.map((scope) =>
    planOf(refIn(scope), vm, { ...others, nics: [nicIn(scope)] }),
  );
  const names = ["web", "acme~web"];
  expect(plans.map(({ domain }) => domainMessage(domain).name)).toEqual(names);
  expect(plans.map(({ seed }) => seedMessage(seed).name)).toEqual(names);
  expect(plans.map(({ taps }) => taps[0]?.network.scope)).toEqual(scopes);
});

test("what is reserved on a node says its scope, but for the default one", () => {
  const vm = create(VirtualMachineSchema, { name: "web" });
  const disk = create(BlockStorageSchema, { name: "root", requestBytes: GiB, limitBytes: GiB });
  expect(scopes.map((scope) => computeReservationOf(refIn(scope), vm))).toMatchObject([
    { name: "web", owner: "virtual_machine/web" },
    { name: "acme~web", owner: "virtual_machine/acme/web" },
  ]);
  expect(scopes.map((scope) => reservationOf(diskIn(scope), disk))).toMatchObject([
    { name: "root", owner: "block_storage/root" },
    { name: "acme~root", owner: "block_storage/acme/root" },
  ]);
});

test("ids that are unique in the cloud or on a node are made of scope and name", () => {
  const request = create(CreateVirtualMachineRequestSchema, webRequest("web"));
  const checked = { ...request, ...withLimits(request) };
  const [uuid, other] = scopes.map((scope) => checkCreate(refIn(scope), checked).uuid);
  expect(uuid).not.toBe(other);
  const volumeId = newVolumeId({ random: systemRandom }, diskIn("acme"));
  expect(volumeId).toMatch(/^acme~root\./);
  expect(volumeId).toMatch(VOLUME_ID);
});
