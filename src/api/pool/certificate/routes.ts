import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import type { JoinService } from "../../../gen/n0stack/pool/v1alpha1/join_pb.ts";
import { certificateOf, peerOf } from "../../../rpc/peer.ts";
import type { Api } from "../context.ts";
import { joinOrNote, renewCertificate } from "./join.ts";
import { createJoinToken, listJoinTokens, revokeJoinToken } from "./tokens.ts";

/**
 * None of these is a transaction: a token is a secret, which no journal has, and each is one batch. The batch
 * also writes who did it.
 */
export function joinRoutes(api: Api): ServiceImpl<typeof JoinService> {
  return {
    createJoinToken: (request, call) => createJoinToken(api, call, request),
    listJoinTokens: () => listJoinTokens(api),
    revokeJoinToken: async ({ id }, call) => {
      await revokeJoinToken(api, call, id);
      return {};
    },
    join: (request, { values }: HandlerContext) => joinOrNote(api, request, peerOf(values)),
    renewCertificate: ({ nodeName }, { values }: HandlerContext) =>
      renewCertificate(api, nodeName, certificateOf(values), peerOf(values)),
  };
}
