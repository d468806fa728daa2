import type { DescMethod } from "@bufbuild/protobuf";
import { accessOf } from "../../../rpc/access-option.ts";
import { invalid } from "../../../util/errors.ts";
import { didYouMean } from "../../../util/suggest.ts";

const ANY = "*";

/** The permissions that the served RPCs need. */
export class PermissionCatalog {
  readonly #verbs = new Map<string, Set<string>>();

  add(method: DescMethod): void {
    const { resource = "", verb = "" } = accessOf(method) ?? {};
    if (resource === "" || verb === "") return;
    const verbs = this.#verbs.get(resource) ?? new Set();
    verbs.add(verb);
    this.#verbs.set(resource, verbs);
  }

  /**
   * What is wrong with a permission pattern such as `image.*`: that no RPC needs it, and what is like it.
   * Undefined if it is right.
   */
  wrongIn(pattern: string): string | undefined {
    const [resource = "", verb = "", ...more] = pattern.split(".");
    if (resource === "" || verb === "" || more.length > 0) {
      return 'must be "RESOURCE.VERB", where "*" stands for any';
    }
    const verbs = resource === ANY ? this.#allVerbs() : this.#verbs.get(resource);
    if (verbs === undefined) {
      return `no call needs a permission of the resource "${resource}"${didYouMean(resource, this.#verbs.keys())}`;
    }
    if (verb === ANY || verbs.has(verb)) return undefined;
    return `no call needs the verb "${verb}" of ${resource}${didYouMean(verb, verbs)}`;
  }

  /** @throws N0Error `invalid_argument` for a permission that no RPC needs. */
  check(field: string, pattern: string): void {
    const wrong = this.wrongIn(pattern);
    if (wrong !== undefined) throw invalid(field, wrong);
  }

  #allVerbs(): ReadonlySet<string> {
    return new Set([...this.#verbs.values()].flatMap((verbs) => [...verbs]));
  }
}
