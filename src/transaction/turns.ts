/**
 * Lets some work run at a time, and the rest wait. A free turn goes to the projects in rotation, so that the
 * work of one project waits for little of another's, however much of that waits.
 */
export class Turns {
  readonly #limit: () => number;
  #running = 0;
  /** What waits, by project. The first project is the next one. */
  readonly #waiting = new Map<string, (() => void)[]>();

  /** @param limit how much may run now. */
  constructor(limit: () => number) {
    this.#limit = limit;
  }

  /** Whether nothing runs and nothing waits. */
  get isIdle(): boolean {
    return this.#running === 0 && this.#waiting.size === 0;
  }

  /** Runs `work` when the turn of its project has come: at once, if nothing else waits and there is room. */
  async run<T>(project: string, work: () => Promise<T>): Promise<T> {
    if (this.#running >= this.#limit() || this.#waiting.size > 0) await this.#turn(project);
    else this.#running += 1;
    try {
      return await work();
    } finally {
      this.#running -= 1;
      this.#next();
    }
  }

  #turn(project: string): Promise<void> {
    return new Promise((resolve) => {
      const line = this.#waiting.get(project);
      if (line === undefined) this.#waiting.set(project, [resolve]);
      else line.push(resolve);
    });
  }

  #next(): void {
    for (const [project, line] of this.#waiting) {
      if (this.#running >= this.#limit()) return;
      const start = line.shift();
      this.#waiting.delete(project);
      // Behind all other projects, so this loop comes to it again.
      if (line.length > 0) this.#waiting.set(project, line);
      this.#running += 1;
      start?.();
    }
  }
}
