import type { MachineFolders } from "../../machine-folders.ts";
import { domainPaths, machinesFolder } from "../domain-paths.ts";
import { asFileError } from "../file-error.ts";
import { ensureMarkedFolder, listMarkedFolders } from "../folder-mark.ts";

export function libvirtFolders(baseDirectory: string): MachineFolders {
  const pathOf = (name: string) => domainPaths(baseDirectory, name).folder;
  return {
    async ensureFolder(name, mark) {
      const folder = pathOf(name);
      try {
        ensureMarkedFolder(folder, mark);
      } catch (error) {
        throw asFileError(error);
      }
      return folder;
    },
    async listFolders(signal) {
      signal.throwIfAborted();
      return listMarkedFolders(machinesFolder(baseDirectory)).map(({ name, mark }) => {
        return { name, mark, path: pathOf(name) };
      });
    },
  };
}
