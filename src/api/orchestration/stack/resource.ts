import { StackSchema, StackService } from "../../../gen/n0stack/stack/v1alpha1/stack_pb.ts";
import { defineResource } from "../../core/resource/resource.ts";
import type { Api } from "../../provisioning/context.ts";
import { checkStack } from "./check.ts";
import { stackMembers, stackOwners, stacks, stackVersions } from "./collection.ts";
import { readStackHistory, readStackVersion } from "./versions.ts";
import { withProject } from "./writes.ts";

export const stack = defineResource({
  word: "stack",
  service: StackService,
  schema: StackSchema,
  collection: stacks,
  records: [stackMembers, stackOwners, stackVersions],
  withProject,
  routes: (api: Api) => ({
    checkStack: ({ name }, call) => checkStack(api, call, name),
    readStackHistory: ({ name }, call) => readStackHistory(api, call, name),
    readStackVersion: (request, call) => readStackVersion(api, call, request),
  }),
});
