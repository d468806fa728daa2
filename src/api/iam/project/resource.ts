import {
  Project_State,
  ProjectSchema,
  ProjectService,
} from "../../../gen/n0stack/iam/v1alpha1/project_pb.ts";
import { defineResource } from "../../core/resource/resource.ts";
import type { Api } from "../context.ts";
import { projectAudit } from "./audit.ts";
import { projects } from "./collection.ts";
import { createProject } from "./create.ts";
import { deleteProject } from "./delete.ts";
import { projectSteps } from "./record.ts";

export const project = defineResource({
  word: "project",
  service: ProjectService,
  schema: ProjectSchema,
  collection: projects,
  pending: Project_State.PENDING,
  givesRoom: ["deleteProject"],
  steps: { steps: [projectSteps.put] },
  audit: projectAudit,
  isVisible: (api: Api, { name }, caller) => api.grants.sees(caller, { kind: "project", name }),
  routes: (api) => ({
    createProject: (request, call) => createProject(api, call, request),
    deleteProject: ({ name }, call) => deleteProject(api, call, name),
  }),
});
