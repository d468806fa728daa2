import { clone } from "@bufbuild/protobuf";
import type { Objects } from "../../../datastore/collection.ts";
import { DomainSchema } from "../../../gen/n0stack/iam/v1alpha1/domain_pb.ts";
import { Project_State, ProjectSchema } from "../../../gen/n0stack/iam/v1alpha1/project_pb.ts";
import { formatRef, SYSTEM_SCOPE } from "../../../util/ref.ts";
import { defineAudit } from "../../core/audit/audit.ts";
import { type Codes, sharedCodes } from "../../core/audit/codes.ts";
import type { Finding as FindingOf, Repair } from "../../core/audit/finding.ts";
import { leftPending } from "../../core/audit/shared.ts";
import type { View } from "../../core/audit/view.ts";
import type { Ownable } from "../../core/resource/object.ts";
import { domains } from "../domain/collection.ts";
import { ownerOf } from "../owner.ts";
import { projects } from "./collection.ts";

const codes = {
  "object.without_project": {
    rank: 62,
    severity: "error",
    means: "an object is in a project or a domain that does not exist, so nobody can reach it",
    byHand: "make the project or domain again, then delete the object or keep both",
  },
  "project.without_domain": {
    rank: 63,
    severity: "error",
    means: "a project is in a domain that does not exist",
    byHand: "make the domain again",
  },
} as const satisfies Codes;

type Finding = FindingOf<keyof typeof codes | keyof typeof sharedCodes>;

/** Domains, projects, and what is in them. */
export const projectAudit = defineAudit({
  codes: { ...codes, ...sharedCodes },
  compare: async (view: View): Promise<readonly Finding[]> =>
    view.isWanted("")
      ? [
          ...objectsOfNobody(view),
          ...projectsOfNobody(view),
          ...left(view, projects, (one) => clone(ProjectSchema, one)),
          ...left(view, domains, (one) => clone(DomainSchema, one)),
        ]
      : [],
});

function objectsOfNobody({ api, records }: View): Finding[] {
  return api.kinds.flatMap(({ collection }) =>
    records.list(collection).flatMap(({ key }) => {
      const ref = collection.refOf(key);
      const owner = ownerOf(ref);
      const of: Objects<unknown> = owner?.kind === domains.kind ? domains : projects;
      if (owner === undefined || records.find(of, owner) !== undefined) return [];
      return [
        {
          code: "object.without_project" as const,
          resource: formatRef(ref),
          nodeName: "",
          expected: formatRef(owner),
          found: "nothing",
          keys: [key, of.key(owner)],
        },
      ];
    }),
  );
}

function projectsOfNobody({ records }: View): Finding[] {
  return records.list(projects).flatMap(({ key, value }) => {
    const domain = { kind: domains.kind, scope: SYSTEM_SCOPE, name: value.domain };
    if (records.find(domains, domain) !== undefined) return [];
    return [
      {
        code: "project.without_domain" as const,
        resource: formatRef(projects.refOf(key)),
        nodeName: "",
        expected: formatRef(domain),
        found: "nothing",
        keys: [key, domains.key(domain)],
      },
    ];
  });
}

/** What no transaction deletes is open again. */
function left<T extends Ownable & { state: number; transactionId: string }>(
  view: View,
  of: Objects<T>,
  copyOf: (object: T) => T,
): Finding[] {
  return view.records.list(of).flatMap(({ key, value }) => {
    const ref = of.refOf(key);
    const finding =
      value.state === Project_State.PENDING ? leftPending(view, ref, value, "") : undefined;
    if (finding === undefined) return [];
    const open = copyOf(value);
    open.state = Project_State.AVAILABLE;
    open.transactionId = "";
    const repair: Repair = (tx) => tx.commit(tx.context.held.put(of, ref, open, value));
    return [{ ...finding, repair }];
  });
}
