import type { ServiceImpl } from "@connectrpc/connect";
import type { IdentityService } from "../../../gen/n0stack/iam/v1alpha1/identity_pb.ts";
import type { OidcProvider } from "./provider.ts";

export function identityRoutes(
  providers: readonly OidcProvider[],
): Pick<ServiceImpl<typeof IdentityService>, "getSignInMethods"> {
  const oidc = providers.map(({ domain, issuer, clientId }) => ({ domain, issuer, clientId }));
  return { getSignInMethods: () => ({ oidc }) };
}
