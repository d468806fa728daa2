import { nameOnNode, parseRefOf } from "../../../../util/ref.ts";
import type { DomainFolders } from "../../domain-folders.ts";
import { domainPaths, domainsFolder } from "../domain-paths.ts";
import { asFileError } from "../file-error.ts";
import { ensureMarkedFolder, listMarkedFolders, readFolderMark } from "../folder-mark.ts";

export function libvirtFolders(baseDirectory: string): DomainFolders {
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
    async findFolder(owner) {
      const ref = parseRefOf("virtual_machine", owner);
      const folder = ref === undefined ? undefined : pathOf(nameOnNode(ref));
      return folder !== undefined && readFolderMark(folder)?.owner === owner ? folder : undefined;
    },
    async listFolders(signal) {
      signal.throwIfAborted();
      return listMarkedFolders(domainsFolder(baseDirectory)).map(({ name, mark }) => {
        return { name, mark, path: pathOf(name) };
      });
    },
  };
}
