/** What an RPC needs, such as `virtual_machine.boot`. */
export interface Permission {
  readonly resource: string;
  readonly verb: string;
}

export function permissionText({ resource, verb }: Permission): string {
  return `${resource}.${verb}`;
}

/** Permission patterns, to be asked on every request. */
export class PermissionSet {
  readonly #patterns: ReadonlySet<string>;

  constructor(patterns: Iterable<string>) {
    this.#patterns = new Set(patterns);
  }

  get patterns(): readonly string[] {
    return [...this.#patterns];
  }

  has({ resource, verb }: Permission): boolean {
    const patterns = this.#patterns;
    return (
      patterns.has("*.*") ||
      patterns.has(`${resource}.*`) ||
      patterns.has(`*.${verb}`) ||
      patterns.has(`${resource}.${verb}`)
    );
  }

  /** Whether it has every permission that the pattern matches. */
  includes(pattern: string): boolean {
    const [resource = "", verb = ""] = pattern.split(".");
    return this.has({ resource, verb });
  }
}
