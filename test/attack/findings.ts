/** Something that the servers must not do. */
export interface Finding {
  /** Findings with one of these are the same fault. */
  readonly fault: string;
  /** What was seen, with its figure. */
  readonly seen: string;
  /** How to have it again: a command, or the bytes. */
  readonly again?: string | undefined;
}

export interface Findings {
  add(finding: Finding): void;
  /** True for the first of its fault. */
  isNew(fault: string): boolean;
  /** The first of each fault, with how often it was seen. */
  list(): readonly (Finding & { readonly count: number })[];
}

export function newFindings(onNew: (finding: Finding) => void = () => {}): Findings {
  const found = new Map<string, { finding: Finding; count: number }>();
  return {
    isNew: (fault) => !found.has(fault),
    add(finding) {
      const known = found.get(finding.fault);
      if (known !== undefined) known.count++;
      else {
        found.set(finding.fault, { finding, count: 1 });
        onNew(finding);
      }
    },
    list: () => [...found.values()].map(({ finding, count }) => ({ ...finding, count })),
  };
}

export function formatFinding({
  fault,
  seen,
  again,
  count = 1,
}: Finding & { count?: number }): string {
  const times = count > 1 ? ` (${count} times)` : "";
  const how = again === undefined ? "" : `\n    ${again.replaceAll("\n", "\n    ")}`;
  return `${fault}${times}\n    ${seen}${how}`;
}
