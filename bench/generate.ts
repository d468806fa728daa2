import { join } from "node:path";
import { REQUEST_NODE_OF_BLOCK_STORAGE } from "../src/api/core/annotations.ts";
import { diskRequest } from "./control-plane.ts";
import { inTurn, type Measurement, median, timed } from "./measurement.ts";
import { NODE, openRealCloud, run as runCommand } from "./real-node.ts";

/**
 * A block storage from an image whose base is on the node, compared with the command that makes such an
 * overlay.
 */
export const generate: Measurement = {
  name: "generate",
  isOnNode: true,
  async run({ runs }) {
    await using cloud = await openRealCloud();
    const { blockStorages, images, folder } = cloud;
    const annotations = { [REQUEST_NODE_OF_BLOCK_STORAGE]: NODE };
    await blockStorages.createBlockStorage({ ...diskRequest("base"), annotations });
    await images.applyImage({ name: "image" });
    const registered = { imageName: "image", blockStorageName: "base", tags: ["latest"] };
    await images.registerBlockStorage(registered);
    const base = join(folder, "base.qcow2");
    await runCommand("qemu-img", "create", "-q", "-f", "qcow2", base, "1G");
    const { floor, ours } = await inTurn(runs * 2, {
      floor: (run) => {
        const backing = ["-b", base, "-F", "qcow2", join(folder, `overlay-${run}.qcow2`), "2G"];
        return timed(() => runCommand("qemu-img", "create", "-q", "-f", "qcow2", ...backing));
      },
      ours: (run) =>
        timed(() =>
          images.generateBlockStorage({
            imageName: "image",
            tag: "latest",
            blockStorageName: `generated-${run}`,
            requestBytes: 1n << 20n,
            limitBytes: 2n << 30n,
            annotations,
          }),
        ),
    });
    return [
      {
        what: "GenerateBlockStorage, image on the node, against bare qemu-img create -b",
        unit: "ms",
        floor: median(floor),
        ours: median(ours),
        bar: { atMost: 1 },
      },
    ];
  },
};
