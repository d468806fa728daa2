import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import {
  GetImageRequestSchema,
  ImageService,
} from "../../src/gen/n0stack/deployment/v0/image_pb.ts";
import {
  ListNetworksRequestSchema,
  NetworkService,
} from "../../src/gen/n0stack/pool/v0/network_pb.ts";
import {
  type BlockStorage,
  BlockStorageService,
  GetBlockStorageRequestSchema,
} from "../../src/gen/n0stack/provisioning/v0/block_storage_pb.ts";
import {
  GetVirtualMachineRequestSchema,
  type VirtualMachine,
  VirtualMachineService,
} from "../../src/gen/n0stack/provisioning/v0/virtual_machine_pb.ts";
import { callUnary } from "../call.ts";
import type { CliContext } from "../context.ts";
import { CliError } from "../errors.ts";
import { EXIT } from "../exit-code.ts";

const DEFAULT_NETWORK = "default";
/** Private, and rarely that of an office or of a home. */
const DEFAULT_CIDR = "10.64.0.0/16";

/**
 * The network that a user means who names none: the one called `default`, else the only one of the project. It has a
 * CIDR if the project has no network, and it must be made.
 *
 * @throws CliError if there are several.
 */
export async function usualNetwork(
  cli: CliContext,
): Promise<{ readonly network: string; readonly cidr: string | undefined }> {
  const request = create(ListNetworksRequestSchema);
  const { networks } = await callUnary(cli, NetworkService.method.listNetworks, request);
  const names = networks.map(({ name }) => name);
  if (names.length === 0) return { network: DEFAULT_NETWORK, cidr: DEFAULT_CIDR };
  const name = names.find((one) => one === DEFAULT_NETWORK) ?? names[0];
  if (name !== undefined && (name === DEFAULT_NETWORK || names.length === 1)) {
    return { network: name, cidr: undefined };
  }
  const some = `${names.slice(0, 10).join(", ")}${names.length > 10 ? ", …" : ""}`;
  throw new CliError(`choose a network with --network: there are ${some}`);
}

/** @throws CliError if the image has no such tag; ConnectError if there is no such image. */
export async function checkTag(cli: CliContext, name: string, tag: string): Promise<void> {
  const request = create(GetImageRequestSchema, { name });
  const { tags } = await callUnary(cli, ImageService.method.getImage, request);
  if (Object.hasOwn(tags, tag)) return;
  const known = Object.keys(tags).sort();
  const hint = known.length === 0 ? "it has no tags" : `write --image ${name}:${known[0]}`;
  throw new CliError(`image "${name}" has no tag "${tag}": ${hint}`, EXIT.notFound);
}

/** The virtual machine and the block storage of one name. */
export interface Pair {
  readonly vm: VirtualMachine | undefined;
  readonly disk: BlockStorage | undefined;
}

export async function pairOf(cli: CliContext, name: string): Promise<Pair> {
  const vm = create(GetVirtualMachineRequestSchema, { name });
  const disk = create(GetBlockStorageRequestSchema, { name });
  return {
    vm: await orNone(callUnary(cli, VirtualMachineService.method.getVirtualMachine, vm)),
    disk: await orNone(callUnary(cli, BlockStorageService.method.getBlockStorage, disk)),
  };
}

async function orNone<T>(call: Promise<T>): Promise<T | undefined> {
  return await call.catch((reason: unknown) => {
    if (reason instanceof ConnectError && reason.code === Code.NotFound) return undefined;
    throw reason;
  });
}
