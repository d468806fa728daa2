/** Something that a server must not do. */
export interface Finding {
  /** Findings with an equal `fault` are the same fault. */
  readonly fault: string;
  /** The observation, with its figure. */
  readonly seen: string;
  /** How to repeat it: a command, or the bytes. */
  readonly again?: string | undefined;
}

export interface Findings {
  add(finding: Finding): void;
  /** True for the first one of its fault. */
  isNew(fault: string): boolean;
  /** The first one of each fault, with its number. */
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
