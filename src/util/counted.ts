/** A number with its noun: `1 node`, `2 nodes`, `3 tries`. */
export function counted(count: number, one: string, several: string = `${one}s`): string {
  return `${count} ${count === 1 ? one : several}`;
}
