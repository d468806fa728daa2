import { Visibility } from "../../../gen/n0stack/iam/v1alpha1/visibility_pb.ts";
import type { Shareable } from "../../core/sharing.ts";

type Shared = Pick<Shareable, "visibility" | "visibleTo">;

/** As a request to share an object has it. An object that was never shared says nothing. */
export function visibilityOf({ visibility, visibleTo }: Shared) {
  return {
    visibility: visibility === Visibility.UNSPECIFIED ? Visibility.PRIVATE : visibility,
    visibleTo: [...visibleTo].sort(),
  };
}

export function isSharedAs(a: Shared, b: Shared): boolean {
  const [one, other] = [a, b].map(visibilityOf);
  return JSON.stringify(one) === JSON.stringify(other);
}

/** Whether other projects may use it. */
export function isShared({ visibility }: Shared): boolean {
  return visibility === Visibility.PROJECTS || visibility === Visibility.PUBLIC;
}

/** Brings objects that are shared in the same way to the same fields. When that began is of no matter. */
export function plainSharing(object: {
  visibility: Visibility;
  visibleTo: string[];
  visibleSince?: unknown;
}): void {
  Object.assign(object, visibilityOf(object));
  delete object.visibleSince;
}
