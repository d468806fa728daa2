import type { RemoveAll } from "../../../../test/attack/clean-up.ts";
import type { Examples } from "../../../../test/attack/example-parts.ts";
import { requestsTo } from "../../../../test/crash/requests.ts";
import { turned } from "../../../../test/crash/turned.ts";
import type { RpcCase } from "../../../../test/saga-cases.ts";
import type { World } from "../../../../test/world.ts";
import { TokenService } from "../../../gen/n0stack/iam/v1alpha1/token_pb.ts";
import { hashOf, idOf } from "./text.ts";

const tokensOf = (world: World) => world.client(TokenService);
const secretSha256 = hashOf("a secret");
const other = hashOf("another secret");

async function prepareTokens(world: World): Promise<void> {
  await world.users.createUser({ name: "me" });
  await tokensOf(world).createToken({ secretSha256: other, principal: "user/me" });
}

export const rpcCases: readonly RpcCase[] = [
  {
    rpc: "CreateToken",
    prepare: prepareTokens,
    call: (world) => tokensOf(world).createToken({ secretSha256, principal: "user/me" }),
  },
  {
    rpc: "DeleteToken",
    prepare: prepareTokens,
    call: (world) => tokensOf(world).deleteToken({ name: idOf(other) }),
  },
];

const token = requestsTo(TokenService);

export const scenarios = turned([
  [
    token("CreateToken", { secretSha256: secretSha256.toString("base64") }),
    token("DeleteToken", { name: idOf(secretSha256) }),
  ],
]);

export const examples: Examples = {
  CreateToken: { secretSha256: secretSha256.toString("base64"), description: "a" },
  DeleteToken: { name: idOf(secretSha256) },
};

export const removeAll: RemoveAll = async (clients, remove) => {
  const tokens = clients.client(TokenService);
  for (const { name } of (await tokens.listTokens({})).tokens) {
    await remove(`token ${name}`, tokens.deleteToken({ name }));
  }
};
