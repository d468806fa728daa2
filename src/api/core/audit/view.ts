import type { SurveyResponse } from "../../../gen/n0stack/agent/v1alpha1/survey_pb.ts";
import type { Ref } from "../../../util/ref.ts";
import type { Api } from "../context.ts";
import type { Snapshot } from "./snapshot.ts";

/** What a node said, or why it did not. */
export type NodeAnswer =
  | { readonly nodeName: string; readonly survey: SurveyResponse }
  | { readonly nodeName: string; readonly error: string };

/** Something on a node that has a nic in a network. */
export interface NetworkUse {
  readonly networkName: string;
  /** Of the object that has the nic. */
  readonly name: string;
  readonly key: string;
  /** How the network must be on the node. Undefined while nothing there needs it, or nobody can tell. */
  readonly needs?: {
    /** With prefix length; empty for none. */
    readonly ipv4Gateway: string;
    readonly ipv6Gateway: string;
    /** What a transaction that changes any of it holds. */
    readonly keys: readonly string[];
  };
}

/** What a network asks of the resources above it whose objects have interfaces in it. */
export interface InterfaceUser<A extends Api = Api> {
  hasInterface(records: Snapshot, ref: Ref, networkName: string, interfaceName: string): boolean;
  /** Keys of the objects that an interface may be of whose record is gone. */
  possibleKeys(interfaceName: string): readonly string[];
  networkUses(node: NodeView<View<A>>): Promise<readonly NetworkUse[]>;
}

/** The records at one moment, and what the nodes said near it. */
export interface View<A extends Api = Api> {
  readonly api: A;
  readonly records: Snapshot;
  readonly answers: readonly NodeAnswer[];
  /** The records by which the nodes were asked. */
  readonly asked: Snapshot;
  /** By kind, those whose objects have interfaces. */
  readonly interfaceUsers: ReadonlyMap<string, InterfaceUser>;
  /** Whether what concerns the node was asked for; "" stands for what concerns no node. */
  isWanted(nodeName: string): boolean;
}

/** A node that answered, with what is needed to compare it. */
export interface NodeView<V extends View = View> {
  readonly nodeName: string;
  readonly survey: SurveyResponse;
  readonly view: V;
}

export function answered<V extends View>(view: V): NodeView<V>[] {
  return view.answers.flatMap((answer) =>
    "survey" in answer ? [{ nodeName: answer.nodeName, survey: answer.survey, view }] : [],
  );
}

/** What a node said; undefined where it did not. */
export function surveyOf({ answers }: View, nodeName: string): SurveyResponse | undefined {
  const answer = answers.find((one) => one.nodeName === nodeName);
  return answer !== undefined && "survey" in answer ? answer.survey : undefined;
}
