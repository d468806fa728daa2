import type { Collection } from "../../../datastore/collection.ts";
import type { Part } from "../../../datastore/key.ts";
import type { Stored } from "../../../datastore/records.ts";
import type { SurveyResponse } from "../../../gen/n0stack/agent/v1alpha1/survey_pb.ts";
import type { Ref } from "../../../util/ref.ts";
import type { Api } from "../context.ts";
import type { Snapshot } from "./snapshot.ts";

/** The answer of a node, or the reason why there is none. */
export type NodeAnswer =
  | { readonly nodeName: string; readonly survey: SurveyResponse }
  | { readonly nodeName: string; readonly error: string };

/** A thing on a node that has a nic in a network. */
export interface NetworkUse {
  readonly network: Ref;
  /** The object with the nic. */
  readonly by: Ref;
  /**
   * The required state of the network on the node. Undefined if nothing there needs it, or if that is not
   * known.
   */
  readonly needs?: {
    /** With prefix length; empty for none. */
    readonly ipv4Gateway: string;
    readonly ipv6Gateway: string;
    /** DHCP and DNS there. */
    readonly services?: { readonly domain: string; readonly nameservers: readonly string[] };
    /** The keys of a transaction that changes any of it. */
    readonly keys: readonly string[];
  };
}

/** What a network needs to know of the higher resources whose objects have interfaces in it. */
export interface InterfaceUser<A extends Api = Api> {
  hasInterface(records: Snapshot, ref: Ref, network: Ref, interfaceName: string): boolean;
  /** The keys of the objects that may have the interface although its record is gone. */
  possibleKeys(scope: string, interfaceName: string): readonly string[];
  networkUses(node: NodeView<View<A>>): Promise<readonly NetworkUse[]>;
}

/** The records at one moment, and the answers of the nodes near that moment. */
export interface View<A extends Api = Api> {
  readonly api: A;
  readonly records: Snapshot;
  readonly answers: readonly NodeAnswer[];
  /** The records with which the nodes were asked. */
  readonly asked: Snapshot;
  /** By kind, those whose objects have interfaces. */
  readonly interfaceUsers: ReadonlyMap<string, InterfaceUser>;
  /** The nodes to look at; undefined for all nodes of `isWanted`. */
  readonly nodeNames?: readonly string[];
  /** Whether to look at things of the node; "" stands for things that belong to no node. */
  isWanted(nodeName: string): boolean;
  /** The results of `onceIn`. */
  readonly made: Map<unknown, unknown>;
}

/** Makes a function that computes its result once for each view. */
export function onceIn<T, V extends View>(view: V, make: (view: V) => T): T {
  const made = view.made.has(make) ? (view.made.get(make) as T) : make(view);
  view.made.set(make, made);
  return made;
}

/** The records of things on the nodes that are looked at. */
export function listWanted<T>(
  { records, nodeNames, isWanted }: View,
  of: Collection<T, Part>,
  nodeOf: (stored: Stored<T>) => string,
): readonly Stored<T>[] {
  const byNode = records.by(of, nodeOf);
  const names = nodeNames ?? [...byNode.keys()].filter(isWanted);
  return names.flatMap((nodeName) => byNode.get(nodeName) ?? []);
}

/** A node that answered, with everything that is needed to compare it. */
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

/** The answer of a node; undefined if there is none. */
export function surveyOf({ answers }: View, nodeName: string): SurveyResponse | undefined {
  const answer = answers.find((one) => one.nodeName === nodeName);
  return answer !== undefined && "survey" in answer ? answer.survey : undefined;
}
