import { type CallKind, call, read } from "../../../../test/sim/call-kind.ts";
import { PROJECTS } from "../../../../test/sim/projects.ts";
import { namesOf, type View } from "../../../../test/sim/view.ts";
import { ProjectService } from "../../../gen/n0stack/iam/v1alpha1/project_pb.ts";
import { projects } from "./collection.ts";

/** Mostly one of those in which the calls work, if one is missing. */
function missing(view: View): string {
  const lacking = PROJECTS.filter((name) => view.get(projects, name) === undefined);
  return view.choose(lacking, namesOf("project"));
}

export const calls: Readonly<Record<string, CallKind>> = {
  CreateProject: call(
    1.2,
    (view) => ({ name: missing(view) }),
    (c, request, options) => c.client(ProjectService).createProject(request, options),
  ),
  DeleteProject: call(
    0.8,
    (view) => {
      const withObjects = view.dice.chance(0.4);
      const names = withObjects && view.dice.chance(0.6) ? PROJECTS : namesOf("project");
      return { name: view.choose([], names), withObjects };
    },
    (c, request, options) => c.client(ProjectService).deleteProject(request, options),
  ),
  PreviewDeleteProject: read(
    0.2,
    (view) => ({ name: view.choose([], [...namesOf("project"), ...PROJECTS]) }),
    (c, request, options) => c.client(ProjectService).previewDeleteProject(request, options),
  ),
};
