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
import { deleteProject, forgetProject } from "./delete.ts";
import { previewDeleteProject } from "./preview.ts";
import { projectSteps } from "./record.ts";

export const project = defineResource({
  word: "project",
  service: ProjectService,
  schema: ProjectSchema,
  collection: projects,
  pending: Project_State.PENDING,
  givesRoom: ["deleteProject"],
  steps: { steps: [projectSteps.put], retriables: [forgetProject] },
  audit: projectAudit,
  isVisible: (api: Api, { name }, caller) => api.grants.sees(caller, { kind: "project", name }),
  routes: (api) => ({
    createProject: (request, call) => createProject(api, call, request),
    previewDeleteProject: (request, call) => previewDeleteProject(api, call, request),
    deleteProject: (request, call) => deleteProject(api, call, request),
  }),
});
