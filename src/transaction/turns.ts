import { GoingOn } from "./going-on.ts";
import { Rotation } from "./rotation.ts";

export interface TurnRules {
  /** How much may run now. Each project may run one beyond that. */
  readonly most: () => number;
  /** How much of it may go on in one turn of the event loop when it has ended. Default: all. */
  readonly perLoopTurn?: () => number;
}

/**
 * Lets some work run at a time, and the rest wait. A free turn goes to the projects in rotation. The first work
 * of a project never waits.
 */
export class Turns {
  readonly #most: () => number;
  readonly #goingOn: GoingOn | undefined;
  readonly #waiting = new Rotation();
  #running = 0;
  /** By project. Only those that have some. */
  readonly #runningOf = new Map<string, number>();

  constructor({ most, perLoopTurn }: TurnRules) {
    this.#most = most;
    if (perLoopTurn !== undefined) this.#goingOn = new GoingOn(perLoopTurn, () => this.#next());
  }

  /** Whether nothing runs and nothing waits. */
  get isIdle(): boolean {
    return this.#running === 0 && this.#waiting.isEmpty;
  }

  /** Runs `work` when its turn has come. Its turn ends when the caller may go on. */
  async run<T>(project: string, work: () => Promise<T>): Promise<T> {
    if (this.#mayStart(project)) this.#count(project, 1);
    else await this.#waiting.wait(project);
    try {
      return await work();
    } finally {
      await this.#goingOn?.wait(project);
      this.#count(project, -1);
      if (!this.#runningOf.has(project) && this.#waiting.has(project)) this.#startOf(project);
      this.#next();
    }
  }

  #mayStart(project: string): boolean {
    if (!this.#runningOf.has(project)) return true;
    return this.#waiting.isEmpty && this.#hasRoom();
  }

  /** While some have still to go on, nothing starts: what starts together shares one durable write. */
  #hasRoom(): boolean {
    return this.#running < this.#most() && this.#goingOn?.isEmpty !== false;
  }

  #next(): void {
    while (this.#hasRoom()) {
      const project = this.#waiting.next();
      if (project === undefined) return;
      this.#count(project, 1);
    }
  }

  #startOf(project: string): void {
    this.#count(project, 1);
    this.#waiting.nextOf(project);
  }

  #count(project: string, by: number): void {
    this.#running += by;
    const after = (this.#runningOf.get(project) ?? 0) + by;
    if (after === 0) this.#runningOf.delete(project);
    else this.#runningOf.set(project, after);
  }
}
