import type { ServiceImpl } from "@connectrpc/connect";
import { PasswordService } from "../../../gen/n0stack/iam/v1alpha1/password_pb.ts";
import type { Call } from "../../core/context.ts";
import type { KeyedRequests } from "../../core/idempotency/keyed-requests.ts";
import { keyedRoutes } from "../../core/idempotency/keyed-routes.ts";
import type { Api } from "../context.ts";
import { signIn } from "./sign-in.ts";
import { removePassword, setPassword } from "./write.ts";

type Routes = ServiceImpl<typeof PasswordService>;

/** A sign-in does not need an idempotency key: the same one again opens the same session. */
export function passwordRoutes(api: Api, requests: KeyedRequests): Routes {
  const changes: Omit<Routes, "signIn"> = {
    setPassword: (request, call: Call) => setPassword(api, call, request),
    removePassword: ({ userName }, call: Call) => removePassword(api, call, userName),
  };
  return {
    ...keyedRoutes(PasswordService, changes, requests),
    signIn: (request, call) => signIn(api, call, request),
  };
}
