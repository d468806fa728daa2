/** Each node with the nodes that it depends on. Repeated dependencies count once. */
export type Dag = ReadonlyMap<string, readonly string[]>;

/** A node depends on a node that is not in the graph. */
export interface MissingDependency {
  readonly node: string;
  readonly dependency: string;
}

export function findMissing(dag: Dag): readonly MissingDependency[] {
  return [...dag].flatMap(([node, dependencies]) =>
    [...new Set(dependencies)]
      .filter((dependency) => !dag.has(dependency))
      .map((dependency) => ({ node, dependency })),
  );
}

/**
 * One cycle, as the nodes on it in order: each depends on the next, the last one on the first. Undefined if the
 * graph has no cycle. Ignores missing dependencies. The search is depth first with a stack of its own, so that
 * it can follow a chain of any length.
 */
export function findCycle(dag: Dag): readonly string[] | undefined {
  const finished = new Set<string>();
  for (const start of dag.keys()) {
    const cycle = finished.has(start) ? undefined : findCycleFrom(dag, start, finished);
    if (cycle !== undefined) return cycle;
  }
  return undefined;
}

function findCycleFrom(dag: Dag, start: string, finished: Set<string>) {
  const path = [start];
  const positionOf = new Map([[start, 0]]);
  const open = [(dag.get(start) ?? []).values()];
  for (let next = open.at(-1); next !== undefined; next = open.at(-1)) {
    const { value: dependency, done } = next.next();
    if (done === true) {
      const node = path.pop() ?? start;
      open.pop();
      positionOf.delete(node);
      finished.add(node);
      continue;
    }
    const position = positionOf.get(dependency);
    if (position !== undefined) return path.slice(position);
    if (finished.has(dependency) || !dag.has(dependency)) continue;
    positionOf.set(dependency, path.length);
    path.push(dependency);
    open.push((dag.get(dependency) ?? []).values());
  }
  return undefined;
}

/** Says which nodes of a graph may start, while nodes are marked as done. */
export interface Frontier {
  /** The nodes without dependencies, in the graph's order. */
  readonly first: readonly string[];
  /** Marks a node as done and returns the nodes that may start because of it, in the order of the graph. */
  done(node: string): readonly string[];
}

/** Kahn's algorithm, one step at a time. A node on a cycle, or behind one, never becomes ready. */
export function newFrontier(dag: Dag): Frontier {
  const waitingFor = new Map<string, number>();
  const dependants = new Map<string, string[]>([...dag.keys()].map((node) => [node, []]));
  for (const [node, dependencies] of dag) {
    const distinct = new Set(dependencies);
    waitingFor.set(node, distinct.size);
    for (const dependency of distinct) dependants.get(dependency)?.push(node);
  }
  const isDone = new Set<string>();
  return {
    first: [...dag.keys()].filter((node) => waitingFor.get(node) === 0),
    done(node) {
      if (isDone.has(node)) return [];
      isDone.add(node);
      return (dependants.get(node) ?? []).filter((dependant) => {
        const left = (waitingFor.get(dependant) ?? 0) - 1;
        waitingFor.set(dependant, left);
        return left === 0;
      });
    },
  };
}
