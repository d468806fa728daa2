import { type DescMethod, getOption, hasOption } from "@bufbuild/protobuf";
import { type Access, AccessScope, access } from "../gen/n0stack/rules/v1alpha1/access_pb.ts";

const options = new Map<DescMethod, Access | undefined>();

/** What a caller needs to call the method; undefined if its proto does not say it. */
export function accessOf(method: DescMethod): Access | undefined {
  if (!options.has(method)) {
    options.set(method, hasOption(method, access) ? getOption(method, access) : undefined);
  }
  return options.get(method);
}

/** True if callers need no authentication. */
export function isPublic(method: DescMethod): boolean {
  return accessOf(method)?.scope === AccessScope.PUBLIC;
}
