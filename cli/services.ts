import type { DescService } from "@bufbuild/protobuf";
import { Health } from "../src/gen/grpc/health/v1/health_pb.ts";
import { ComputeAgentService } from "../src/gen/n0stack/agent/v1alpha1/compute_pb.ts";
import { IdentityAgentService } from "../src/gen/n0stack/agent/v1alpha1/identity_pb.ts";
import { NetworkAgentService } from "../src/gen/n0stack/agent/v1alpha1/network_pb.ts";
import { SurveyAgentService } from "../src/gen/n0stack/agent/v1alpha1/survey_pb.ts";
import { VolumeAgentService } from "../src/gen/n0stack/agent/v1alpha1/volume_pb.ts";
import { AuditService } from "../src/gen/n0stack/audit/v1alpha1/audit_pb.ts";
import { NetworkTraceService } from "../src/gen/n0stack/network/v1alpha1/network_trace_pb.ts";
import { NetworkUseService } from "../src/gen/n0stack/network/v1alpha1/network_use_pb.ts";
import { JoinService } from "../src/gen/n0stack/pool/v1alpha1/join_pb.ts";
import { VirtualRouterService } from "../src/gen/n0stack/provisioning/v0/virtual_router_pb.ts";
import { ConsoleService } from "../src/gen/n0stack/provisioning/v1alpha1/console_pb.ts";
import { TaskService } from "../src/gen/n0stack/transaction/v1alpha1/task_pb.ts";
import { TransactionService } from "../src/gen/n0stack/transaction/v1alpha1/transaction_pb.ts";
import { VerifyService } from "../src/gen/n0stack/verify/v1alpha1/verify_pb.ts";
import type { Kind } from "./resource/kind.ts";

/** Every service that `api call` knows: those of the API, then those of an agent. */
export async function knownServices(kinds: readonly Kind[]): Promise<readonly DescService[]> {
  return [...(await Promise.all(kinds.map((kind) => kind.loadService()))), ...OTHERS];
}

const OTHERS: readonly DescService[] = [
  VirtualRouterService,
  ConsoleService,
  NetworkTraceService,
  NetworkUseService,
  TransactionService,
  TaskService,
  AuditService,
  VerifyService,
  JoinService,
  ComputeAgentService,
  NetworkAgentService,
  VolumeAgentService,
  SurveyAgentService,
  IdentityAgentService,
  Health,
];
