/** A place in a task file. Lines and columns count from 1. An option of the command line has the line 0. */
export interface Place {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

export interface Problem extends Place {
  readonly message: string;
}

export function formatPlace({ file, line, column }: Place): string {
  return line === 0 ? file : `${file}:${line}:${column}`;
}

/** `boot-vm.yaml:12:5: tasks.vm…`, in the order of the files on the command line, then of their lines. */
export function formatProblems(problems: readonly Problem[], files: readonly string[]): string[] {
  return [...problems]
    .sort(
      (a, b) =>
        files.indexOf(a.file) - files.indexOf(b.file) || a.line - b.line || a.column - b.column,
    )
    .map((problem) => `${formatPlace(problem)}: ${problem.message}`);
}
