import { create } from "@bufbuild/protobuf";
import type { Drifts } from "../../../../test/drift.ts";
import { newProject } from "../../../../test/projects.ts";
import { UserSchema } from "../../../gen/n0stack/iam/v0/user_pb.ts";
import { domains } from "../domain/collection.ts";
import { ownerRef } from "../owner.ts";
import { users } from "../user/collection.ts";

/** One for each code of the audit. */
export const drifts: Drifts = {
  "object.without_project": {
    drift: async ({ write }) => {
      const ref = { kind: users.kind, scope: "gone", name: "ann" };
      await write(users, [ref], create(UserSchema, { name: "ann" }));
    },
    left: ["object.without_project"],
  },
  "project.without_domain": {
    drift: async (hands) => {
      await hands.api.datastore.batch(newProject("lost", "gone"));
      await hands.drop(domains, ownerRef(domains.kind, "gone"));
    },
    left: ["project.without_domain"],
  },
};
