import type { ConnectRouter, ServiceImpl } from "@connectrpc/connect";
import { ComputeAgentService } from "../../gen/n0stack/agent/v1alpha1/compute_pb.ts";
import type { AgentDeps } from "../agent-deps.ts";
import { consoleRoutes } from "./console-routes.ts";
import { definitionRoutes } from "./definition-routes.ts";
import { diskRoutes } from "./disk-routes.ts";
import { nicRoutes } from "./nic-routes.ts";
import { powerRoutes } from "./power-routes.ts";
import { seedRoutes } from "./seed-routes.ts";

/** All routes of the service: one part for each purpose, as the driver has. */
export function computeRoutes(router: ConnectRouter, deps: AgentDeps): void {
  const routes: ServiceImpl<typeof ComputeAgentService> = {
    ...definitionRoutes(deps),
    ...powerRoutes(deps),
    ...diskRoutes(deps),
    ...nicRoutes(deps),
    ...consoleRoutes(deps),
    ...seedRoutes(deps),
  };
  router.service(ComputeAgentService, routes);
}
