import { quota } from "./budget/quota/resource.ts";
import type { Resource } from "./core/resource/resource.ts";
import { image } from "./deployment/image/resource.ts";
import { domain } from "./iam/domain/resource.ts";
import { project } from "./iam/project/resource.ts";
import { role } from "./iam/role/resource.ts";
import { roleBinding } from "./iam/role-binding/resource.ts";
import { serviceAccount } from "./iam/service-account/resource.ts";
import { token } from "./iam/token/resource.ts";
import { user } from "./iam/user/resource.ts";
import { network } from "./network/network/resource.ts";
import { securityGroup } from "./network/security-group/resource.ts";
import { stack } from "./orchestration/stack/resource.ts";
import { node } from "./pool/node/resource.ts";
import { blockStorage } from "./provisioning/block-storage/resource.ts";
import type { Api } from "./provisioning/context.ts";
import { virtualMachine } from "./provisioning/virtual-machine/resource.ts";

/**
 * Every kind of the users' objects. All code that works on every kind uses this list. Each comes after those
 * that its objects use: when a project is deleted with its objects, the last kinds go first.
 */
export const resources: readonly Resource<Api>[] = [
  node,
  network,
  securityGroup,
  blockStorage,
  virtualMachine,
  image,
  stack,
  user,
  token,
  quota,
  domain,
  project,
  role,
  roleBinding,
  serviceAccount,
];
