import type { ConnectRouter } from "@connectrpc/connect";
import type { AgentDeps } from "./agent-deps.ts";
import { computeRoutes } from "./compute/compute-routes.ts";
import { identityRoutes } from "./identity-routes.ts";
import { networkRoutes } from "./network-routes.ts";
import { Segments } from "./segments.ts";
import { surveyRoutes } from "./survey-routes.ts";
import { volumeRoutes } from "./volume-routes.ts";

/** All services of an agent. */
export function agentRoutes(given: Omit<AgentDeps, "segments">): (router: ConnectRouter) => void {
  const deps: AgentDeps = { ...given, segments: new Segments(given) };
  return (router) => {
    identityRoutes(router, deps);
    computeRoutes(router, deps);
    volumeRoutes(router, deps);
    networkRoutes(router, deps);
    surveyRoutes(router, deps);
  };
}
