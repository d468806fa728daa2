import type { RemoveAll } from "../../../../test/attack/clean-up.ts";
import { COMPUTE, type Examples } from "../../../../test/attack/example-parts.ts";
import { SSH_KEY } from "../../../../test/scenario.ts";

export const examples: Examples = {
  CreateVirtualMachine: {
    ...{ name: "a", ...COMPUTE, blockStorageNames: ["a"], nics: [{ networkName: "a" }] },
    ...{ loginUsername: "a", sshAuthorizedKeys: [SSH_KEY] },
    ...{ hostname: "a.example.com", userData: "#cloud-config\npackages: [a]\n" },
  },
  UpdateVirtualMachine: { name: "a", limitCpuMilliCore: 2000, updateMask: "limitCpuMilliCore" },
  DeleteVirtualMachine: { name: "a" },
  BootVirtualMachine: { name: "a" },
  ShutdownVirtualMachine: { name: "a", hard: true },
  SaveVirtualMachine: { name: "a" },
  AttachNic: { name: "a", nic: { networkName: "a" } },
  DetachNic: { name: "a", networkInterfaceName: "a0" },
  SetNicLimits: { name: "a", networkInterfaceName: "a0", ingressBitsPerSecond: "1000000" },
  OpenConsole: { name: "a" },
};

export const removeAll: RemoveAll = async ({ virtualMachines }, remove) => {
  for (const { name } of (await virtualMachines.listVirtualMachines({})).virtualMachines) {
    await remove(`virtual machine ${name}`, virtualMachines.deleteVirtualMachine({ name }));
  }
};
