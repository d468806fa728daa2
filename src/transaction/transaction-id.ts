/** Ids sort by the time that they were made at. */
export function transactionId(nowMs: number, uuid: string): string {
  return `${timePrefix(nowMs)}-${uuid.slice(0, 13)}`;
}

/** What the ids of transactions that are asked for at this time begin with. */
export function timePrefix(nowMs: number): string {
  return nowMs.toString(16).padStart(12, "0");
}
