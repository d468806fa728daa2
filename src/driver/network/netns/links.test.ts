import { networkInterfaces } from "node:os";
import { expect, test } from "vitest";
import { readLinks } from "./links.ts";

/** What the kernel gives a link by itself is left out of `readLinks`. */
const isOfLink = (cidr: string) => cidr.startsWith("fe80:");

test("the links of this process's namespace are read, those that are up with their addresses", async () => {
  // Other processes may add and remove links between the two looks.
  await expect.poll(differences).toEqual([]);
});

async function differences(): Promise<string[]> {
  const links = new Map((await readLinks(undefined)).map((link) => [link.name, link]));
  return Object.entries(networkInterfaces()).flatMap(([name, found = []]) => {
    const wanted = found.flatMap(({ cidr }) => (cidr === null || isOfLink(cidr) ? [] : cidr));
    const { isUp, addresses = [] } = links.get(name) ?? {};
    const isSame = isUp === true && wanted.toSorted().join() === addresses.toSorted().join();
    return isSame ? [] : [`${name}: ${addresses.join()} is not ${wanted.join()}`];
  });
}

test("a namespace that is not there is an error", async () => {
  await expect(readLinks("n0-no-such-namespace")).rejects.toThrow(/ENOENT/);
});
