import { createHash } from "node:crypto";
import { jsonCollection, remove } from "../../../datastore/collection.ts";
import { merge, type Writes } from "../../../datastore/datastore.ts";
import type { Ref } from "../../../util/ref.ts";
import type { Reader } from "../../core/context.ts";
import type { VerifiedToken } from "./provider.ts";

type Subject = Pick<VerifiedToken, "issuer" | "subject">;

/** The person at an issuer who is a user. It belongs to the user, and is deleted with it. */
export const people = jsonCollection<{ readonly issuer: string; readonly subject: string }>(
  "person",
  { of: "user" },
);

/** The user who a person at an issuer is, by `subjectKey`. It exists exactly if `people` has the reverse. */
export const subjects = jsonCollection<{ readonly user: Ref }>("subject");

/** An issuer and a subject can be longer than a key. */
export function subjectKey({ issuer, subject }: Subject): string {
  return createHash("sha256")
    .update(JSON.stringify([issuer, subject]))
    .digest("hex");
}

/** The writes that, with the deletion of the user, let go of the person: another one can become that user. */
export async function withoutPerson({ records }: Reader, user: Ref): Promise<Writes> {
  const person = await records.find(people, user);
  if (person === undefined) return {};
  return merge(remove(people, user), remove(subjects, subjectKey(person.value)));
}
