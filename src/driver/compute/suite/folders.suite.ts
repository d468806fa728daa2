import { describe, expect, test } from "vitest";
import { ownerOnNode } from "../../../util/ref.ts";
import { type ComputeDriverWorld, later, mark, onEachWorld, signal } from "./world.suite.ts";

/** The folders of virtual machines. */
export function domainFoldersSuite(
  title: string,
  newWorld: () => Promise<ComputeDriverWorld>,
): void {
  describe(`${title} as DomainFolders`, () => {
    const on = onEachWorld(newWorld);

    test("the folder is removed with the virtual machine, and also where there is none", async () => {
      const { world, driver, spec } = on;
      await driver.ensureFolder(spec.name, mark);
      await driver.ensureFolder(spec.name, mark);
      expect(await world.hasFolder(spec.name)).toBe(true);
      await driver.ensureAbsent(spec.name, mark, signal);
      expect(await world.hasFolder(spec.name)).toBe(false);
    });

    test("a folder keeps the mark it was made with, and is refused and removed by it as a domain", async () => {
      const { world, driver, spec } = on;
      const { name } = spec;
      await driver.ensureFolder(name, mark);
      await driver.ensureFolder(name, later);
      await driver.requireNew(name, mark, signal);
      await expect(driver.requireNew(name, later, signal)).rejects.toMatchObject({
        kind: "failed_precondition",
        message: expect.stringContaining(`a folder for virtual machine "${name}" is left over`),
      });
      await driver.ensureAbsent(name, later, signal);
      expect(await world.hasFolder(name)).toBe(true);
      await driver.ensureAbsent(name, { owner: mark.owner }, signal);
      expect(await world.hasFolder(name)).toBe(false);
      await driver.requireNew(name, later, signal);
    });

    test("lists the folders that it made, and not those it removed", async () => {
      const { driver, spec } = on;
      const folders = async () =>
        (await driver.listFolders(signal)).filter(({ name }) => name === spec.name);
      expect(await folders()).toEqual([]);
      const own = { ...mark, owner: ownerOnNode("virtual_machine", spec.name) };
      const path = await driver.ensureFolder(spec.name, own);
      expect(await folders()).toEqual([{ name: spec.name, mark: own, path }]);
      expect(await driver.findFolder(own.owner)).toBe(path);
      expect(await driver.findFolder(`${own.owner}-2`)).toBeUndefined();
      await driver.ensureAbsent(spec.name, own, signal);
      expect(await folders()).toEqual([]);
      expect(await driver.findFolder(own.owner)).toBeUndefined();
    });
  });
}
