import type { ConnectRouter } from "@connectrpc/connect";
import { IdentityAgentService } from "../gen/n0stack/agent/v1alpha1/identity_pb.ts";
import { proofOf } from "../rpc/agent-token.ts";
import { N0Error } from "../util/errors.ts";
import type { AgentDeps } from "./agent-deps.ts";

export function identityRoutes(router: ConnectRouter, { whoAmI }: Pick<AgentDeps, "whoAmI">): void {
  router.service(IdentityAgentService, {
    proveIdentity({ nonce }) {
      const own = whoAmI?.();
      if (own === undefined) {
        throw new N0Error("unavailable", "this agent does not know its own address yet");
      }
      const { nodeName, address, agentToken } = own;
      if (agentToken === undefined) return { nodeName, address };
      return { nodeName, address, proof: proofOf(agentToken, nonce, own) };
    },
  });
}
