import { Code } from "@connectrpc/connect";
import { type Attack, untilOver } from "../attack.ts";
import { errorOf, openClients } from "../clients.ts";
import { newHostileWeb, SOURCES, sourceUrl } from "../hostile-web.ts";

const WIDTH = 4;
const MIB = 1n << 20n;
const TIMEOUT_MS = 3_000;

/** Hostile web servers and images, as sources of block storages. Removes those that succeed. */
export const images: Attack = {
  name: "images",
  weight: 2,
  async run({ targets, findings }, round) {
    await using web = await newHostileWeb();
    using clients = openClients(targets.api);
    const salt = round.dice.below(2 ** 31);
    return await untilOver(round, WIDTH, async (index) => {
      const kind = SOURCES[index % SOURCES.length]!;
      const url = sourceUrl(web, kind, `${salt} ${index}`);
      const name = `image-${index}`;
      const request = { name, sourceUrl: url, requestBytes: 64n * MIB, limitBytes: 64n * MIB };
      const error = await errorOf(
        clients.blockStorages.fetchBlockStorage(request, { timeoutMs: TIMEOUT_MS }),
      );
      if (error?.code === Code.Internal || error?.code === Code.Unknown) {
        findings.add({
          fault: `${Code[error.code]} for ${kind} as an image`,
          seen: error.rawMessage,
          again: `FetchBlockStorage of ${decodeURIComponent(new URL(url).pathname)}`,
        });
      }
      if (error !== undefined) return;
      await errorOf(clients.blockStorages.deleteBlockStorage({ name }));
      await errorOf(clients.blockStorages.purgeBlockStorage({ name }));
    });
  },
};
