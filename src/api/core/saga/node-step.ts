import { create, type DescService } from "@bufbuild/protobuf";
import type { CallOptions, Client } from "@connectrpc/connect";
import type { ComputeAgentService } from "../../../gen/n0stack/agent/v1alpha1/compute_pb.ts";
import type { NetworkAgentService } from "../../../gen/n0stack/agent/v1alpha1/network_pb.ts";
import {
  type Operation,
  OperationSchema,
} from "../../../gen/n0stack/agent/v1alpha1/operation_pb.ts";
import type { SurveyAgentService } from "../../../gen/n0stack/agent/v1alpha1/survey_pb.ts";
import type { VolumeAgentService } from "../../../gen/n0stack/agent/v1alpha1/volume_pb.ts";
import type { Retriable, Step, StepScope } from "../../../transaction/step.ts";
import { defined } from "../../../util/defined.ts";
import type { Json } from "../../../util/json.ts";
import { formatRef, type Ref } from "../../../util/ref.ts";
import type { Agent } from "../agents.ts";
import type { Api, SagaContext } from "../context.ts";

/** For work that an agent does at once. */
const QUICK_MS = 30_000;
/** For work that the hypervisor may queue behind other work. */
export const DOMAIN_MS = 180_000;
/** For work that lasts as long as there are bytes to move, and reports its progress. */
export const UNBOUNDED = Number.POSITIVE_INFINITY;

type Ask<S extends DescService, T> = (
  client: Client<S>,
  operation: Operation,
  options: CallOptions,
) => Promise<T>;

type Asks<S extends DescService> = <T>(ask: Ask<S, T>, deadlineMs?: number) => Promise<T>;

/**
 * The node that a step works on. A request to it names its owner and its generation, and waits no longer than
 * `deadlineMs`, and only until the work should stop.
 */
export interface StepNode<A extends Api = Api> {
  readonly api: A;
  readonly signal: AbortSignal;
  /** The same node, for work on a thing of another owner. */
  as(owner: Ref): StepNode<A>;
  readonly compute: Asks<typeof ComputeAgentService>;
  readonly volume: Asks<typeof VolumeAgentService>;
  readonly network: Asks<typeof NetworkAgentService>;
  readonly survey: Asks<typeof SurveyAgentService>;
}

/**
 * Finds the agent when it is asked, and when the turn of the owner's project has come.
 *
 * @param owner whose the thing is that is worked on: the mark that it bears on its node.
 * @throws N0Error then for a node that is silent, lost or deleted.
 */
export function stepNode<A extends Api>(
  api: A,
  nodeName: string,
  owner: Ref,
  scope: StepScope,
): StepNode<A> {
  const { transactionId, generation, signal } = scope;
  const fields = { owner: formatRef(owner), transactionId, generation: BigInt(generation) };
  const ask =
    <S extends DescService, T>(ask: Ask<S, T>, deadlineMs = QUICK_MS) =>
    (client: Client<S>) => {
      const options = deadlineMs === UNBOUNDED ? { signal } : { signal, timeoutMs: deadlineMs };
      return ask(client, create(OperationSchema, fields), options);
    };
  const inTurn = async <T>(call: (agent: Agent) => Promise<T>) =>
    await api.nodeTurns.run({ nodeName, project: owner.scope, signal }, async () =>
      call(api.agents.get(nodeName)),
    );
  return {
    api,
    signal,
    as: (other) => stepNode(api, nodeName, other, scope),
    compute: (...asked) => inTurn((agent) => agent.compute(ask(...asked))),
    volume: (...asked) => inTurn((agent) => agent.volume(ask(...asked))),
    network: (...asked) => inTurn((agent) => agent.network(ask(...asked))),
    survey: (...asked) => inTurn((agent) => agent.survey(ask(...asked))),
  };
}

type Place = Json & { readonly nodeName: string };

/** The work on the node that the input names. */
export type NodeWork<I, A extends Api = Api> = (node: StepNode<A>, input: I) => Promise<unknown>;

interface NodeSpec<I> {
  readonly name: string;
  /** Converts an input of an older version. Returns every other input unchanged. */
  today?(input: Json): I;
  owner(input: I): Ref;
}

export interface NodeStepSpec<I, A extends Api, S> extends NodeSpec<I> {
  act(node: StepNode<A>, input: I, secret: S): Promise<unknown>;
  /** "nothing": the undo of an earlier step removes its effect, or nothing can revert it. */
  readonly undo: NodeWork<I, A> | "nothing";
  /** What stays on the node if an operator gives up the undo. */
  leaves?(input: I): string;
}

/** A step that works on a node. If that node is lost, the undo does nothing: what it made is gone. */
export function nodeStep<I extends Place, A extends Api = Api, S = undefined>(
  spec: NodeStepSpec<I, A, S>,
): Step<SagaContext<A>, I, void, S> {
  const { name, today, undo, leaves } = spec;
  return {
    name,
    async act(context, input, scope, secret) {
      await spec.act(nodeOf(spec, context, input, scope), input, secret);
    },
    undo: undo === "nothing" ? async () => {} : unlessLost(spec, undo),
    ...defined({ today, leaves }),
  };
}

export interface NodeRetriableSpec<I, A extends Api> extends NodeSpec<I> {
  readonly act: NodeWork<I, A>;
  leaves(input: I): string;
}

/** A step after the pivot that works on a node. If that node is lost, it does nothing. */
export function nodeRetriable<I extends Place, A extends Api = Api>(
  spec: NodeRetriableSpec<I, A>,
): Retriable<SagaContext<A>, I> {
  const { name, today, act, leaves } = spec;
  return { name, act: unlessLost(spec, act), leaves, ...defined({ today }) };
}

function nodeOf<I extends Place, A extends Api>(
  { owner }: NodeSpec<I>,
  { api }: SagaContext<A>,
  input: I,
  scope: StepScope,
): StepNode<A> {
  return stepNode(api, input.nodeName, owner(input), scope);
}

function unlessLost<I extends Place, A extends Api>(spec: NodeSpec<I>, work: NodeWork<I, A>) {
  return async (context: SagaContext<A>, input: I, scope: StepScope): Promise<void> => {
    if (context.api.agents.isLost(input.nodeName)) return;
    await work(nodeOf(spec, context, input, scope), input);
  };
}
