import type { Objects } from "../../../datastore/collection.ts";
import type { Stored } from "../../../datastore/records.ts";
import type { Ref } from "../../../util/ref.ts";
import type { Api } from "../context.ts";
import type { Shareable } from "../sharing.ts";
import type { UserObject } from "./object.ts";

/** What reading needs of objects that other projects share; undefined for objects that cannot be shared. */
export interface Sharing<T> {
  readonly of: Objects<T & UserObject & Shareable>;
  readonly word: string;
  /** The object as the objects of that project see it. */
  view(stored: Stored<T>, project: string): Promise<T>;
}

/** The parts of `Reading` that this needs. */
interface Shown<T, A extends Api> {
  readonly collection: Objects<T>;
  readonly word: string;
  viewElsewhere?(api: A, object: T, ref: Ref, project: string): T | Promise<T>;
}

export function sharingOf<T, A extends Api>(
  api: A,
  { collection, word, viewElsewhere }: Shown<T, A>,
): Sharing<T> | undefined {
  if (viewElsewhere === undefined) return undefined;
  return {
    // Only objects that can be shared have this view.
    of: collection as Objects<unknown> as Objects<T & UserObject & Shareable>,
    word,
    view: async ({ key, value }, project) =>
      await viewElsewhere(api, value, collection.refOf(key), project),
  };
}
