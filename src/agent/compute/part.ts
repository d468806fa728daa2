import type { ServiceImpl } from "@connectrpc/connect";
import type { ComputeAgentService } from "../../gen/n0stack/agent/v1alpha1/compute_pb.ts";

type All = ServiceImpl<typeof ComputeAgentService>;

/** Some of the routes of the service. */
export type ComputePart<K extends keyof All> = Pick<All, K>;
