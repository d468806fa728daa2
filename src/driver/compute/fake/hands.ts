import type { FakeHands } from "./fake-compute.ts";
import { type FakeNode, wrongState } from "./fake-node.ts";

/** Things that happen on the node without the driver. */
export function fakeHands(node: FakeNode): FakeHands {
  const { domains, folders, foreign, diskSizes, faults, keepsNics } = node;
  return {
    faults,
    alter(name, change) {
      const domain = domains.get(name);
      if (domain === undefined) throw wrongState(name, "is not on the node");
      domain.info = change({ ...domain.info });
    },
    setState: (name, state) => node.setState(name, state),
    forget: (name) => void domains.delete(name),
    powerOff(name) {
      node.active(name);
      node.setState(name, "shut_off");
    },
    crash(name) {
      node.active(name);
      node.setState(name, "crashed");
    },
    diskSizeBytes: (path) => diskSizes.get(path),
    listen(name) {
      node.active(name).isListening = true;
    },
    keepNics: (name) => void keepsNics.add(name),
    print(name, text) {
      const { viewers, info } = node.active(name);
      node.folderOf(name, info.mark).log += text;
      for (const viewer of viewers) viewer.write(text);
    },
    typed: (name) => node.active(name).typed,
    addForeign: (name, uuid) => void foreign.set(name, uuid),
    snapshot: () => ({
      domains: [...domains.values()].map(({ info, state }) => ({ ...info, state })),
      foreign: [...foreign].map(([name, uuid]) => ({ name, uuid })),
      folders: [...folders.keys()],
    }),
  };
}
