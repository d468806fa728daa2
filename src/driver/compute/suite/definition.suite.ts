import { randomUUID } from "node:crypto";
import { describe, expect, test } from "vitest";
import { ownerOnNode } from "../../../util/ref.ts";
import {
  type ComputeDriverWorld,
  later,
  MIB,
  mark,
  newSpec,
  onEachWorld,
  signal,
} from "./world.suite.ts";

/** What domains are, and whose. */
export function domainDefinitionSuite(
  title: string,
  newWorld: () => Promise<ComputeDriverWorld>,
): void {
  describe(`${title} as a DomainDefinition`, () => {
    const on = onEachWorld(newWorld);

    test("the list tells what was asked for, with the mark", async () => {
      const { world, driver, spec } = on;
      const disks = [await world.newDisk(), await world.newDisk()];
      const nics = [await world.newNic()];
      const full = { ...spec, disks, nics, vcpus: 2 };
      await driver.ensureStarted(full, mark, signal);
      const listed = (await driver.list(signal)).filter(({ name }) => name === spec.name);
      expect(listed).toEqual([
        {
          name: spec.name,
          uuid: spec.uuid,
          mark,
          state: "paused",
          vcpus: 2,
          memoryBytes: 64n * MIB,
          diskPaths: disks.map(({ path }) => path),
          nics: nics.map((nic) => ({ ...nic, pciSlot: expect.any(Number) })),
        },
      ]);
    });

    test("virtual machines of one name in two scopes stand beside each other, also where a name is long", async () => {
      const { world, driver, spec, stateOf } = on;
      const scopes = [spec.name, `acme~${spec.name}`, `${"s".repeat(63)}~${spec.name}`];
      for (const name of scopes) {
        const owner = ownerOnNode("virtual_machine", name);
        const made = { ...newSpec(name), memoryBytes: spec.memoryBytes };
        await driver.ensureFolder(name, { ...mark, owner });
        await driver.ensureStarted(made, { ...mark, owner }, signal);
      }
      const listed = async (of: readonly { readonly name: string }[]) =>
        of
          .map(({ name }) => name)
          .filter((name) => scopes.includes(name))
          .toSorted();
      expect(await listed(await driver.list(signal))).toEqual(scopes.toSorted());
      expect(await listed(await driver.listFolders(signal))).toEqual(scopes.toSorted());
      for (const name of scopes) {
        await driver.ensureAbsent(name, { owner: ownerOnNode("virtual_machine", name) }, signal);
        expect(await stateOf(name)).toBe("absent");
        expect(await world.hasFolder(name)).toBe(false);
      }
    });

    test("a definition of ours is replaced while it is off, even under another uuid, and refused while active", async () => {
      const { driver, spec } = on;
      await driver.ensureDefined(spec, mark, signal);
      const changed = { ...spec, uuid: randomUUID(), vcpus: 2 };
      await driver.ensureDefined(changed, { ...mark, transactionId: "tx-2" }, signal);
      expect((await driver.list(signal)).find(({ name }) => name === spec.name)).toMatchObject({
        uuid: changed.uuid,
        vcpus: 2,
        mark,
      });
      await driver.ensureStarted(changed, mark, signal);
      const refused = driver.ensureDefined(changed, mark, signal);
      await expect(refused).rejects.toMatchObject({ kind: "failed_precondition" });
    });

    test("a domain that is not ours is never touched, listed or told of", async () => {
      const { world, driver, events, spec, stateOf } = on;
      const uuid = randomUUID();
      const { name } = spec;
      await world.addForeign(name, uuid);
      for (const call of [
        () => driver.requireNew(name, mark, signal),
        () => driver.ensureStarted(spec, mark, signal),
        () => driver.ensureDefined(spec, mark, signal),
        () => driver.ensureResumed(name, signal),
        () => driver.reboot(name, true, signal),
      ]) {
        await expect(call()).rejects.toMatchObject({ kind: "failed_precondition" });
      }
      await driver.ensureOff(name, signal);
      await driver.ensureAbsent(name, mark, signal);
      expect(await stateOf(name)).toBe("absent");
      expect((await driver.list(signal)).filter((domain) => domain.name === name)).toEqual([]);
      expect(events.filter((event) => event.name === name)).toEqual([]);
      expect(await world.isForeignIntact(name, uuid)).toBe(true);

      const sameUuid = { ...newSpec(world.newName()), uuid };
      const refused = driver.ensureStarted(sameUuid, mark, signal);
      await expect(refused).rejects.toMatchObject({ kind: "failed_precondition" });
      await driver.ensureAbsent(sameUuid.name, mark, signal);
      expect(await world.isForeignIntact(name, uuid)).toBe(true);
    });

    test("a new virtual machine is refused where another transaction's domain is, which nothing but its owner removes", async () => {
      const { world, driver, spec, stateOf } = on;
      const { name } = spec;
      await driver.requireNew(name, mark, signal);
      await driver.ensureStarted(spec, mark, signal);
      await driver.ensureResumed(name, signal);
      const before = (await driver.list(signal)).filter((domain) => domain.name === name);
      await driver.requireNew(name, mark, signal);
      await expect(driver.requireNew(name, later, signal)).rejects.toMatchObject({
        kind: "failed_precondition",
        message: expect.stringContaining(`a domain for virtual machine "${name}" is left over`),
        facts: { resource: ownerOnNode("virtual_machine", name) },
      });
      await driver.ensureAbsent(name, later, signal);
      await driver.ensureAbsent(name, { owner: "virtual_machine/another" }, signal);
      expect((await driver.list(signal)).filter((domain) => domain.name === name)).toEqual(before);
      expect(await world.hasFolder(name)).toBe(true);
      await driver.ensureAbsent(name, { owner: mark.owner }, signal);
      expect(await stateOf(name)).toBe("absent");
      expect(await world.hasFolder(name)).toBe(false);
    });

    test("names that could leave the folder are refused, and an aborted signal does nothing", async () => {
      const { driver, spec, stateOf } = on;
      for (const name of ["", "../x", "a/b", "a b", "'", "x".repeat(64)]) {
        const refused = driver.ensureStarted({ ...spec, name }, mark, signal);
        await expect(refused).rejects.toMatchObject({ kind: "invalid_argument" });
      }
      const aborted = driver.ensureDefined(spec, mark, AbortSignal.abort(new Error("gone")));
      await expect(aborted).rejects.toThrow("gone");
      expect(await stateOf(spec.name)).toBe("absent");
    });
  });
}
