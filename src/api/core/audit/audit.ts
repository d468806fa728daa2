import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ExpectedSeedSchema } from "../../../gen/n0stack/agent/v1alpha1/survey_pb.ts";
import type { Api } from "../context.ts";
import type { Codes } from "./codes.ts";
import type { Finding } from "./finding.ts";
import type { InterfaceUser, View } from "./view.ts";

/** A part of the answer of a node. */
export interface Question {
  readonly seeds?: MessageInitShape<typeof ExpectedSeedSchema>[];
}

/** The rules that must be true of a resource, in its records and on the nodes. */
export interface Audit<A extends Api = Api> {
  readonly codes: Codes;
  /** Finds everything that breaks a rule. */
  compare(view: View<A>): Promise<readonly Finding[]>;
  /** What a node must be told to be able to compare it. */
  question?(view: View<A>, nodeName: string): Promise<Question>;
  readonly interfaces?: InterfaceUser<A>;
}

/** Makes such an audit, whose findings have its own codes and the shared ones. */
export function defineAudit<const T extends Codes, A extends Api = Api>(
  audit: Omit<Audit<A>, "codes" | "compare"> & {
    readonly codes: T;
    compare(view: View<A>): Promise<readonly Finding<string & keyof T, A>[]>;
  },
): Audit<A> {
  return audit;
}
