import {
  fullDisk,
  image,
  MiB,
  NODE_OF_DISK,
  newDisk,
  purged,
} from "../../../../test/crash/requests.ts";
import type { Scenario } from "../../../../test/crash/scenario.ts";

const GENERATE = {
  imageName: "img",
  tag: "1",
  blockStorageName: "made",
  requestBytes: MiB,
  limitBytes: 8 * MiB,
};

const setVisibility = (visibility: string) =>
  image("SetImageVisibility", { name: "new", visibility });

export const scenarios: readonly Scenario[] = [
  {
    name: "ApplyImage",
    prepare: [],
    call: image("ApplyImage", { name: "new" }),
    revert: [image("DeleteImage", { name: "new" })],
    cleanUp: [],
  },
  {
    name: "SetImageVisibility",
    prepare: [image("ApplyImage", { name: "new" }), setVisibility("VISIBILITY_PRIVATE")],
    call: setVisibility("VISIBILITY_PUBLIC"),
    revert: [setVisibility("VISIBILITY_PRIVATE")],
    cleanUp: [image("DeleteImage", { name: "new" })],
  },
  {
    name: "DeleteImage",
    prepare: [image("ApplyImage", { name: "new" })],
    call: image("DeleteImage", { name: "new" }),
    revert: [image("ApplyImage", { name: "new" })],
    cleanUp: [image("DeleteImage", { name: "new" })],
  },
  {
    name: "RegisterBlockStorage",
    isThorough: true,
    prepare: [newDisk("data")],
    call: image("RegisterBlockStorage", {
      imageName: "img",
      blockStorageName: "data",
      tags: ["2"],
    }),
    revert: [image("UnregisterBlockStorage", { imageName: "img", blockStorageName: "data" })],
    cleanUp: purged("data"),
  },
  {
    name: "UnregisterBlockStorage",
    prepare: [
      newDisk("data"),
      image("RegisterBlockStorage", { imageName: "img", blockStorageName: "data", tags: ["2"] }),
    ],
    call: image("UnregisterBlockStorage", { imageName: "img", blockStorageName: "data" }),
    revert: [
      image("RegisterBlockStorage", { imageName: "img", blockStorageName: "data", tags: ["2"] }),
    ],
    cleanUp: [
      image("UnregisterBlockStorage", { imageName: "img", blockStorageName: "data" }),
      ...purged("data"),
    ],
  },
  {
    name: "GenerateBlockStorage",
    isThorough: true,
    prepare: [],
    call: image("GenerateBlockStorage", { ...GENERATE, annotations: { [NODE_OF_DISK]: "node-1" } }),
    revert: purged("made"),
    cleanUp: [],
  },
  {
    // The copy of the base on the other node is kept for the next one, and goes with the base.
    name: "GenerateBlockStorage on another node",
    needsTwoNodes: true,
    prepare: [
      fullDisk("far"),
      image("RegisterBlockStorage", { imageName: "img", blockStorageName: "far", tags: ["far"] }),
    ],
    call: image("GenerateBlockStorage", {
      ...GENERATE,
      tag: "far",
      annotations: { [NODE_OF_DISK]: "node-2" },
    }),
    revert: [
      ...purged("made"),
      image("UnregisterBlockStorage", { imageName: "img", blockStorageName: "far" }),
      ...purged("far"),
      fullDisk("far"),
      image("RegisterBlockStorage", { imageName: "img", blockStorageName: "far", tags: ["far"] }),
    ],
    cleanUp: [
      image("UnregisterBlockStorage", { imageName: "img", blockStorageName: "far" }),
      ...purged("far"),
    ],
  },
  {
    name: "TagImage",
    prepare: [],
    call: image("TagImage", { name: "img", tag: "2", registeredBlockStorageName: "base" }),
    revert: [image("UntagImage", { name: "img", tag: "2" })],
    cleanUp: [],
  },
  {
    name: "UntagImage",
    prepare: [image("TagImage", { name: "img", tag: "2", registeredBlockStorageName: "base" })],
    call: image("UntagImage", { name: "img", tag: "2" }),
    revert: [image("TagImage", { name: "img", tag: "2", registeredBlockStorageName: "base" })],
    cleanUp: [image("UntagImage", { name: "img", tag: "2" })],
  },
];
