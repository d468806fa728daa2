import { create, type DescMessage } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { OpenVncRequestSchema } from "../gen/n0stack/agent/v1alpha1/compute_pb.ts";
import { SweepNetworkRequestSchema } from "../gen/n0stack/agent/v1alpha1/survey_pb.ts";
import { VolumeSpecSchema } from "../gen/n0stack/agent/v1alpha1/volume_pb.ts";
import { GetUserRequestSchema } from "../gen/n0stack/iam/v0/user_pb.ts";
import { GetNetworkRequestSchema } from "../gen/n0stack/pool/v0/network_pb.ts";
import { NAME, NAME_ON_NODE, SHARED_NAME, VOLUME_ID } from "../util/ref.ts";
import { ViolationsError } from "./errors.ts";
import { limitsOf } from "./limits.ts";
import { assertValid } from "./validate.ts";

const LONG = "x".repeat(63);
const TEXTS = [
  "web-1",
  LONG,
  `${LONG}x`,
  "acme~web-1",
  `${LONG}~${LONG}`,
  `${LONG}~${LONG}.0123456789ab`,
  `${LONG}x~web-1`,
  `acme~${"x".repeat(128)}`,
  `acme~${"x".repeat(129)}`,
  "~web-1",
  "acme~",
  "a~b~c",
  "acme~../x",
  "acme/web-1",
  `${LONG}/${LONG}`,
  `${LONG}x/web-1`,
  "ac.me/web-1",
  "a/b/c",
  "/web-1",
  "acme/",
  "acme~web 1",
  "acme~web-1\n",
];

/** Whether the proto's rule of the field accepts the text. */
function accepts(schema: DescMessage, field: string, text: string): boolean {
  try {
    assertValid(schema, create(schema, { operation: { owner: "network/net" }, [field]: text }));
    return true;
  } catch (reason) {
    if (!(reason instanceof ViolationsError)) throw reason;
    return false;
  }
}

test.for([
  ["the name of an object", GetUserRequestSchema, "name", NAME, 63],
  ["a name with a project", GetNetworkRequestSchema, "name", SHARED_NAME, 127],
  ["a name on a node", OpenVncRequestSchema, "name", NAME_ON_NODE, 127],
  ["a name on a node", SweepNetworkRequestSchema, "networkName", NAME_ON_NODE, 127],
  ["the id of a volume", VolumeSpecSchema, "id", VOLUME_ID, 192],
] as const)("the rule of %s is its pattern", ([, schema, field, pattern, lengthMax]) => {
  const accepted = TEXTS.filter((text) => accepts(schema, field, text));
  expect(accepted).toEqual(TEXTS.filter((text) => pattern.test(text)));
  const desc = schema.fields.find(({ localName }) => localName === field)!;
  expect(limitsOf(desc).length).toBe(lengthMax);
});
