import type { RemoveAll } from "../../../../test/attack/clean-up.ts";
import { type Examples, MIB } from "../../../../test/attack/example-parts.ts";

export const examples: Examples = {
  ApplyImage: { name: "a" },
  SetImageVisibility: { name: "a", visibility: "VISIBILITY_PROJECTS", visibleTo: ["a"] },
  RegisterBlockStorage: { imageName: "a", blockStorageName: "a", tags: ["a"] },
  UnregisterBlockStorage: { imageName: "a", blockStorageName: "a" },
  GenerateBlockStorage: { imageName: "a", blockStorageName: "c", requestBytes: MIB, tag: "a" },
  TagImage: { name: "a", tag: "b", registeredBlockStorageName: "a" },
  UntagImage: { name: "a", tag: "b" },
};

export const removeAll: RemoveAll = async ({ images }, remove) => {
  for (const { name, registeredBlockStorages } of (await images.listImages({})).images) {
    for (const { blockStorageName } of registeredBlockStorages) {
      const which = { imageName: name, blockStorageName };
      await remove(`image ${name}`, images.unregisterBlockStorage(which));
    }
    await remove(`image ${name}`, images.deleteImage({ name }));
  }
};
