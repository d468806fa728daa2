import { globSync } from "node:fs";
import { join } from "node:path";

const ROOT = join(import.meta.dirname, "..");

/**
 * The modules beside the resources whose names have this ending, such as all `*.cases.ts`, in the order of
 * their paths.
 */
export async function gather<T>(name: string): Promise<readonly T[]> {
  const paths = globSync(`src/api/*/*/*.${name}.ts`, { cwd: ROOT }).sort();
  return await Promise.all(paths.map((path): Promise<T> => import(join(ROOT, path))));
}
