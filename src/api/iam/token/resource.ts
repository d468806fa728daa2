import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { TokenSchema, TokenService } from "../../../gen/n0stack/iam/v1alpha1/token_pb.ts";
import { defineResource } from "../../core/resource/resource.ts";
import type { Api } from "../context.ts";
import { tokens, tokenUses } from "./collection.ts";
import { createToken, deleteToken, mayChange, withoutHash } from "./write.ts";

export const token = defineResource({
  word: "token",
  service: TokenService,
  schema: TokenSchema,
  collection: tokens,
  records: [tokenUses],
  givesRoom: ["deleteToken"],
  view: (api: Api, object) => {
    const shown = withoutHash(object);
    const usedMs = api.tokens.lastUsedMs(object.name);
    if (usedMs !== undefined) shown.lastUsedAt = timestampFromMs(usedMs);
    return shown;
  },
  isVisible: (api: Api, object, caller) => mayChange(api, object, caller, "list"),
  routes: (api) => ({
    createToken: (request, call) => createToken(api, call, request),
    deleteToken: ({ name }, call) => deleteToken(api, call, name),
  }),
});
