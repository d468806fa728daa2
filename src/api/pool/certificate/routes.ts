import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import type { JoinService } from "../../../gen/n0stack/pool/v1alpha1/join_pb.ts";
import { certificateOf, peerOf } from "../../../rpc/peer.ts";
import type { Api } from "../context.ts";
import { join, renewCertificate } from "./join.ts";
import { createJoinToken, listJoinTokens, revokeJoinToken } from "./tokens.ts";

/** None of these is a transaction: a token is a secret, which no journal has, and each is one batch. */
export function joinRoutes(api: Api): ServiceImpl<typeof JoinService> {
  return {
    createJoinToken: (request) => createJoinToken(api, request),
    listJoinTokens: () => listJoinTokens(api),
    revokeJoinToken: async ({ id }) => {
      await revokeJoinToken(api, id);
      return {};
    },
    join: (request, { values }: HandlerContext) => join(api, request, peerOf(values)),
    renewCertificate: ({ nodeName }, { values }: HandlerContext) =>
      renewCertificate(api, nodeName, certificateOf(values), peerOf(values)),
  };
}
