import { errorCode } from "../../../util/errno.ts";

/** False if the kernel refused it, and so did nothing, because something is there already or is not there. */
export async function isDone(change: Promise<void>): Promise<boolean> {
  return (await orUndefined(change.then(() => true))) ?? false;
}

export async function orUndefined<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (["EEXIST", "ENOENT"].includes(errorCode(error) ?? "")) return undefined;
    throw error;
  }
}
