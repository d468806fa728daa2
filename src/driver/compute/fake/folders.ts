import type { DomainFolders } from "../domain-folders.ts";
import type { FakeNode } from "./fake-node.ts";

export function fakeFolders(node: FakeNode): DomainFolders {
  const pathOf = (name: string) => `/fake/vm/${name}`;
  return {
    async ensureFolder(name, mark) {
      node.folderOf(name, mark);
      return pathOf(name);
    },
    async findFolder(owner) {
      const found = [...node.folders].find(([, { mark }]) => mark.owner === owner);
      return found === undefined ? undefined : pathOf(found[0]);
    },
    listFolders: (signal) =>
      node.guarded("listFolders", signal, () =>
        [...node.folders].map(([name, { mark }]) => ({ name, mark, path: pathOf(name) })),
      ),
  };
}
