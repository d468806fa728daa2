/** Ids sort by the time at which they were made. */
export function transactionId(nowMs: number, uuid: string): string {
  return `${timePrefix(nowMs)}-${uuid.slice(0, 13)}`;
}

/** The prefix of the ids that are made at this time. */
export function timePrefix(nowMs: number): string {
  return nowMs.toString(16).padStart(12, "0");
}
