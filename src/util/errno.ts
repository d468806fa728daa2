/** The system's code of an error, such as `ENOENT`; undefined for an error of another kind. */
export function errorCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}

/** Whether a call of the system failed because there is nothing at the path. */
export function isAbsent(error: unknown): boolean {
  return errorCode(error) === "ENOENT";
}

/** What `work` resolves with; undefined where there is nothing at its path. */
export async function ifThere<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw error;
  }
}

/** As `ifThere`, for calls that block. */
export function ifThereSync<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw error;
  }
}
