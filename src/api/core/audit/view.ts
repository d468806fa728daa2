import type { Collection } from "../../../datastore/collection.ts";
import type { Part } from "../../../datastore/key.ts";
import type { Stored } from "../../../datastore/records.ts";
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
  readonly network: Ref;
  /** The object that has the nic. */
  readonly by: Ref;
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
  hasInterface(records: Snapshot, ref: Ref, network: Ref, interfaceName: string): boolean;
  /** Keys of the objects that an interface may be of whose record is gone. */
  possibleKeys(scope: string, interfaceName: string): readonly string[];
  networkUses(node: NodeView<View<A>>): Promise<readonly NetworkUse[]>;
}

/** The records at one moment, and what the nodes that are looked at said near it. */
export interface View<A extends Api = Api> {
  readonly api: A;
  readonly records: Snapshot;
  readonly answers: readonly NodeAnswer[];
  /** The records by which the nodes were asked. */
  readonly asked: Snapshot;
  /** By kind, those whose objects have interfaces. */
  readonly interfaceUsers: ReadonlyMap<string, InterfaceUser>;
  /** The nodes that are looked at; undefined for all that `isWanted` says. */
  readonly nodeNames?: readonly string[];
  /** Whether what concerns the node is looked at; "" stands for what concerns no node. */
  isWanted(nodeName: string): boolean;
  /** What `onceIn` has made. */
  readonly made: Map<unknown, unknown>;
}

/** What a function makes of a view, which makes it once. */
export function onceIn<T, V extends View>(view: V, make: (view: V) => T): T {
  const made = view.made.has(make) ? (view.made.get(make) as T) : make(view);
  view.made.set(make, made);
  return made;
}

/** The records of what is on the nodes that are looked at. */
export function listWanted<T>(
  { records, nodeNames, isWanted }: View,
  of: Collection<T, Part>,
  nodeOf: (stored: Stored<T>) => string,
): readonly Stored<T>[] {
  const byNode = records.by(of, nodeOf);
  const names = nodeNames ?? [...byNode.keys()].filter(isWanted);
  return names.flatMap((nodeName) => byNode.get(nodeName) ?? []);
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
