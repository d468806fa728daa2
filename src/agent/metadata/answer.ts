import { randomBytes } from "node:crypto";
import type { ComputeDriver } from "../../driver/compute/compute-driver.ts";
import type {
  AnswerMetadata,
  MetadataReply,
  MetadataRequest,
} from "../../driver/network/metadata.ts";
import type { Seed, SeedDriver } from "../../driver/seed/seed-driver.ts";
import { ec2 } from "./ec2.ts";
import { noCloud } from "./nocloud.ts";
import { openStack } from "./openstack.ts";
import { at, type Folder, folder } from "./tree.ts";

const TOKEN_PATH = "/latest/api/token";
const TTL_HEADER = "x-aws-ec2-metadata-token-ttl-seconds";
const TTL_SECONDS_MAX = 21_600;

export interface AnswerParts {
  readonly compute: Pick<ComputeDriver, "findFolder">;
  readonly seed: Pick<SeedDriver, "read">;
}

/** Answers a guest with what its own seed says. */
export function newAnswerMetadata({ compute, seed: seeds }: AnswerParts): AnswerMetadata {
  return async (owner, request) => {
    const place = await compute.findFolder(owner);
    const seed = place === undefined ? undefined : await seeds.read(place);
    return seed === undefined ? undefined : answerOf(seed, request);
  };
}

function answerOf(seed: Seed, request: MetadataRequest): MetadataReply {
  const { method, path } = request;
  if (path === TOKEN_PATH) return tokenFor(request);
  if (method === "PUT") return { status: 405, headers: { allow: "GET, HEAD" } };
  const found = at(treeFor(path, seed), path);
  return found === undefined ? { status: 404 } : { status: 200, ...found };
}

/** The layout in which the path is. The root is that of EC2, as it is in OpenStack. */
function treeFor(path: string, seed: Seed): Folder {
  const [, layout] = path.split("/");
  if (layout === "openstack") return folder({ openstack: openStack(seed) });
  if (layout === "nocloud") return folder({ nocloud: noCloud(seed) });
  return folder(ec2(seed));
}

/**
 * Clients of EC2 ask for a token and send it along. It protects nothing here, where a guest is known by its place, so
 * nobody looks at it again.
 */
function tokenFor({ method, headers }: MetadataRequest): MetadataReply {
  if (method !== "PUT") return { status: 405, headers: { allow: "PUT" } };
  const asked = headers[TTL_HEADER];
  const seconds = typeof asked === "string" && /^\d{1,5}$/.test(asked) ? Number(asked) : 0;
  if (seconds < 1 || seconds > TTL_SECONDS_MAX) return { status: 400 };
  const body = randomBytes(40).toString("base64url");
  return { status: 200, body, headers: { [TTL_HEADER]: String(seconds) } };
}
