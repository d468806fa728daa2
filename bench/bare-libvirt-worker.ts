import { parentPort } from "node:worker_threads";
import { loadLibvirt } from "../src/driver/compute/libvirt/bindings.ts";
import type { BareOrder } from "./bare-libvirt.ts";

// A thread in which libvirt does one thing after the other, and nothing else runs.
const libvirt = loadLibvirt();
libvirt.silenceErrors();
const connection = libvirt.connectOpen("qemu:///system");
if (connection === null) throw new Error(libvirt.lastError()?.message);

parentPort!.on("message", (order: BareOrder) => {
  parentPort!.postMessage(perform(order) ? undefined : (libvirt.lastError()?.message ?? "failed"));
});

function perform(order: BareOrder): boolean {
  if (order.kind === "create") {
    const domain = libvirt.domainDefineXml(connection!, order.xml, 0);
    return domain !== null && libvirt.domainCreate(domain, 0) >= 0 && free(domain);
  }
  const domain = libvirt.domainLookupByName(connection!, order.name);
  if (domain === null) return false;
  return (
    libvirt.domainDestroy(domain, 0) >= 0 && libvirt.domainUndefine(domain, 0) >= 0 && free(domain)
  );
}

function free(domain: bigint): boolean {
  return libvirt.domainFree(domain) >= 0;
}
