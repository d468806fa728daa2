import { type CallKind, call } from "../../../../test/sim/call-kind.ts";
import { namesOf } from "../../../../test/sim/view.ts";
import { TokenService } from "../../../gen/n0stack/iam/v1alpha1/token_pb.ts";
import { users } from "../user/collection.ts";
import { tokens } from "./collection.ts";
import { hashOf, idOf } from "./text.ts";

const HASHES = ["one", "two", "three"].map(hashOf);

export const calls: Readonly<Record<string, CallKind>> = {
  CreateToken: call(
    0.7,
    (view) => ({
      secretSha256: view.dice.pick(HASHES),
      principal: view.dice.chance(0.5) ? "" : `user/${view.object(users, namesOf("user"))}`,
    }),
    (c, request, options) => c.client(TokenService).createToken(request, options),
  ),
  DeleteToken: call(
    0.5,
    (view) => ({ name: view.object(tokens, HASHES.map(idOf)) }),
    (c, request, options) => c.client(TokenService).deleteToken(request, options),
  ),
};
