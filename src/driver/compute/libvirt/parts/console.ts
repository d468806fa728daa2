import type { Clock } from "../../../../util/clock.ts";
import type { DomainConsole } from "../../domain-console.ts";
import { checkName, domainPaths } from "../domain-paths.ts";
import { createSerialHub } from "../serial-hub.ts";
import { readSerialLogFiles } from "../serial-log.ts";
import { connectToDomain } from "../sockets.ts";

/** Disposing of it closes the serial consoles. */
export function libvirtConsole(baseDirectory: string, clock: Clock): DomainConsole & Disposable {
  const pathsOf = (name: string) => domainPaths(baseDirectory, name);
  const serialHub = createSerialHub((name) => connectToDomain([pathsOf(name).serialSocket], name));
  return {
    async openVnc(name) {
      const { vncSocket, formerVncSocket } = pathsOf(name);
      return await connectToDomain([vncSocket, formerVncSocket], name);
    },
    async openSerial(name) {
      checkName(name);
      return await serialHub.open(name);
    },
    readSerialLog: (name, follow, signal) =>
      readSerialLogFiles(pathsOf(name).serialLog, follow, clock, signal),
    [Symbol.dispose]: () => serialHub.close(),
  };
}
