import { rm } from "node:fs/promises";
import { expect, test } from "vitest";
import type { NicSpec } from "../../src/driver/compute/domain.ts";
import { loadLibvirt } from "../../src/driver/compute/libvirt/bindings.ts";
import { openLibvirtComputeDriver } from "../../src/driver/compute/libvirt/libvirt-compute-driver.ts";
import { runOperation } from "../../src/driver/compute/libvirt/operations/run-operation.ts";
import { loadQemuEnder } from "../../src/driver/compute/libvirt/qemu-process.ts";
import { newSpec } from "../../src/driver/compute/suite/world.suite.ts";
import { newComputeWorld, newRunNames } from "./compute-world.ts";
import { requirement } from "./requirements.ts";

type Domain = Parameters<ReturnType<typeof loadLibvirt>["domainShutdown"]>[0];

const mark = { owner: "virtual_machine/a", transactionId: "tx" };
const signal = new AbortController().signal;
const isComplete = requirement("root") && requirement("libvirt") && requirement("qemu-img");

test.runIf(isComplete)(
  "of a guest that ends in that moment, the power button is pressed, a nic goes, and a reset is refused",
  async () => {
    const names = newRunNames();
    await using opened = new AsyncDisposableStack();
    opened.defer(() => rm(names.baseDirectory, { recursive: true, force: true }));
    const driver = opened.use(await openLibvirtComputeDriver({ ...names, accelerator: "tcg" }));
    const world = opened.use(newComputeWorld(driver, names));

    const real = loadLibvirt();
    const uri = "qemu:///system";
    const connection = real.connectOpen(uri)!;
    opened.defer(() => void real.connectClose(connection));
    // What libvirt answers is its own: the guest ends between the look at its state and the call.
    const late =
      <A extends readonly unknown[]>(call: (domain: Domain, ...rest: A) => number) =>
      (domain: Domain, ...rest: A) => {
        real.domainDestroy(domain, 0);
        return call(domain, ...rest);
      };
    const libvirt = {
      ...real,
      domainShutdown: late(real.domainShutdown),
      domainReset: late(real.domainReset),
      domainDetachDeviceAlias: late(real.domainDetachDeviceAlias),
    };
    const settings = { ...names, uri, accelerator: "tcg", cpuController: "none" } as const;
    const context = { libvirt, connection, settings, qemuUser: undefined, qemu: loadQemuEnder() };

    const { name } = await startedOne();
    runOperation(context, { kind: "shutdown", name });
    expect(await driver.state(name, signal)).toBe("shut_off");
    const other = await startedOne();
    expect(() => runOperation(context, { kind: "reset", name: other.name })).toThrow(
      "the hypervisor refuses it in its present state",
    );
    const nic = await world.newNic();
    const third = await startedOne([nic]);
    const { hardwareAddress } = nic;
    const unplug = { kind: "unplug", name: third.name, hardwareAddress, isRequest: true } as const;
    expect(runOperation(context, unplug)).toBe(false);
    expect((await driver.list(signal)).find((one) => one.name === third.name)?.nics).toEqual([]);

    async function startedOne(nics: readonly NicSpec[] = []) {
      const spec = { ...newSpec(world.newName()), nics };
      await driver.ensureStarted(spec, mark, signal);
      await driver.ensureResumed(spec.name, signal);
      return spec;
    }
  },
);
