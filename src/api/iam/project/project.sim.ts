import { type CallKind, call } from "../../../../test/sim/call-kind.ts";
import { namesOf } from "../../../../test/sim/view.ts";
import { ProjectService } from "../../../gen/n0stack/iam/v1alpha1/project_pb.ts";

export const calls: Readonly<Record<string, CallKind>> = {
  CreateProject: call(
    1,
    (view) => ({ name: view.choose([], namesOf("project")) }),
    (c, request, options) => c.client(ProjectService).createProject(request, options),
  ),
  DeleteProject: call(
    0.8,
    (view) => ({ name: view.choose([], namesOf("project")) }),
    (c, request, options) => c.client(ProjectService).deleteProject(request, options),
  ),
};
