import type { ServiceImpl } from "@connectrpc/connect";
import type { IdentityService } from "../../../gen/n0stack/iam/v1alpha1/identity_pb.ts";
import type { OidcProvider } from "./provider.ts";

export function identityRoutes(
  providers: readonly OidcProvider[],
): ServiceImpl<typeof IdentityService> {
  const oidc = providers.map(({ domain, issuer, clientId }) => ({ domain, issuer, clientId }));
  return { getSignInMethods: () => ({ oidc }) };
}
