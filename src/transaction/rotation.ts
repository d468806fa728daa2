/**
 * What waits, by project. The projects come in rotation, so that each waits for little of another's, however much
 * of that waits.
 */
export class Rotation {
  /** The first project is the next one. */
  readonly #waiting = new Map<string, (() => void)[]>();

  get isEmpty(): boolean {
    return this.#waiting.size === 0;
  }

  has(project: string): boolean {
    return this.#waiting.has(project);
  }

  /** Resolves when `next` or `nextOf` comes to it. */
  wait(project: string): Promise<void> {
    return new Promise((resolve) => {
      const line = this.#waiting.get(project);
      if (line === undefined) this.#waiting.set(project, [resolve]);
      else line.push(resolve);
    });
  }

  /** Ends the longest wait of the project whose turn it is. @returns the project; undefined if nothing waits. */
  next(): string | undefined {
    const [project] = this.#waiting.keys();
    if (project !== undefined) this.nextOf(project);
    return project;
  }

  /** Ends the longest wait of this project, which then comes behind all others. */
  nextOf(project: string): void {
    const line = this.#waiting.get(project);
    const go = line?.shift();
    this.#waiting.delete(project);
    if (line !== undefined && line.length > 0) this.#waiting.set(project, line);
    go?.();
  }
}
