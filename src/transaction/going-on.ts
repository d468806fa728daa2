import { Rotation } from "./rotation.ts";

/**
 * Lets a few go on in each turn of the event loop, in rotation between projects. What ends at the same moment
 * would otherwise go on in one long turn, for which each new request waits before the process even reads it.
 */
export class GoingOn {
  readonly #perTurn: () => number;
  readonly #onEmpty: () => void;
  readonly #waiting = new Rotation();
  /** In the present turn of the loop. */
  #gone = 0;
  #isScheduled = false;

  /**
   * @param perTurn how many may go on in the present turn of the loop.
   * @param onEmpty called when nothing waits any more.
   */
  constructor(perTurn: () => number, onEmpty: () => void) {
    this.#perTurn = perTurn;
    this.#onEmpty = onEmpty;
  }

  get isEmpty(): boolean {
    return this.#waiting.isEmpty;
  }

  /** Resolves when it may go on: at once, if few go on in this turn of the loop. */
  async wait(project: string): Promise<void> {
    this.#schedule();
    if (this.isEmpty && this.#gone < this.#perTurn()) this.#gone += 1;
    else await this.#waiting.wait(project);
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => this.#turn());
  }

  #turn(): void {
    this.#isScheduled = false;
    const wasEmpty = this.isEmpty;
    const most = this.#perTurn();
    this.#gone = 0;
    while (this.#gone < most && this.#waiting.next() !== undefined) this.#gone += 1;
    if (this.#gone > 0) this.#schedule();
    if (!wasEmpty && this.isEmpty) this.#onEmpty();
  }
}
