import { type CallKind, call } from "../../../../test/sim/call-kind.ts";
import { diskSize, labels, onNode, visibility } from "../../../../test/sim/fields.ts";
import { namesOf } from "../../../../test/sim/view.ts";
import { BlockStorage_BlockStorageState as DiskState } from "../../../gen/n0stack/provisioning/v0/block_storage_pb.ts";
import { refBeside } from "../../../util/ref.ts";
import { images } from "./collection.ts";

export const calls: Readonly<Record<string, CallKind>> = {
  ApplyImage: call(
    2,
    (view) => ({ name: view.image(), labels: labels(view) }),
    (c, request, options) => c.images.applyImage(request, options),
  ),
  SetImageVisibility: call(
    2.5,
    (view) => ({ name: view.image(), ...visibility(view) }),
    (c, request, options) => c.images.setImageVisibility(request, options),
  ),
  DeleteImage: call(
    0.7,
    (view) => ({ name: view.image() }),
    (c, request, options) => c.images.deleteImage(request, options),
  ),
  RegisterBlockStorage: call(
    4,
    (view) => ({
      imageName: view.image(),
      blockStorageName: view.disk(DiskState.AVAILABLE),
      tags: ["a"],
    }),
    (c, request, options) => c.images.registerBlockStorage(request, options),
  ),
  UnregisterBlockStorage: call(
    2,
    (view) => {
      const imageName = view.image((i) => i.registeredBlockStorages.length > 0);
      const registered = view.findImage(imageName)?.registeredBlockStorages ?? [];
      const names = registered.map((r) => r.blockStorageName);
      return { imageName, blockStorageName: view.choose(names, namesOf("disk")) };
    },
    (c, request, options) => c.images.unregisterBlockStorage(request, options),
  ),
  TagImage: call(
    1,
    (view) => {
      const name = view.image((i) => i.registeredBlockStorages.length > 0);
      const registered = view.findImage(name)?.registeredBlockStorages ?? [];
      const names = registered.map((r) => r.blockStorageName);
      return { name, tag: "b", registeredBlockStorageName: view.choose(names, namesOf("disk")) };
    },
    (c, request, options) => c.images.tagImage(request, options),
  ),
  UntagImage: call(
    0.5,
    (view) => ({ name: view.image(), tag: view.dice.pick(["a", "b"]) }),
    (c, request, options) => c.images.untagImage(request, options),
  ),
  GenerateBlockStorage: call(
    10,
    (view) => {
      const imageName = view.imageToUse();
      const tag = view.choose(Object.keys(view.findImage(imageName)?.tags ?? {}), ["a", "b"]);
      const { scope } = refBeside(view.ref(images, ""), images.kind, imageName);
      const sourceName = `${scope}/${view.findImage(imageName)?.tags[tag] ?? ""}`;
      const { requestBytes, limitBytes } = view.find(sourceName) ?? diskSize(view);
      const blockStorageName = view.freeDisk();
      return { imageName, tag, blockStorageName, requestBytes, limitBytes, ...onNode(view) };
    },
    (c, request, options) => c.images.generateBlockStorage(request, options),
  ),
};
