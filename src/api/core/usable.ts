import type { Objects } from "../../datastore/collection.ts";
import type { Stored } from "../../datastore/records.ts";
import type { Ref } from "../../util/ref.ts";
import type { Markable } from "./resource/object.ts";
import { throwIfOfAnother } from "./saga/pending.ts";
import { getVisible, type Shareable, type Sharing } from "./sharing.ts";

/**
 * Like `getVisible`, for an object that begins to use it.
 *
 * @throws also `aborted` while another transaction makes or changes it.
 */
export async function getUsable<T extends Shareable & Markable>(
  sharing: Sharing<"find">,
  kind: { readonly of: Objects<T>; readonly word: string },
  by: Pick<Ref, "scope">,
  text: string,
): Promise<Stored<T>> {
  const stored = await getVisible(sharing, kind, by, text);
  throwIfOfAnother(kind.word, stored);
  return stored;
}
