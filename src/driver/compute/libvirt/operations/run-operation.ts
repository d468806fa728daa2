import type { Operation } from "../worker-protocol.ts";
import { list, redefine, remove, requireNew } from "./definition.ts";
import { grow, undoGrow } from "./disks.ts";
import { type OperationContext, withActive, withDomain } from "./found-domain.ts";
import { plug, unplug } from "./nics.ts";
import { pause, press, resume, start } from "./power.ts";
import { hasGone, powerOff } from "./power-off.ts";

/** Does one operation. Synchronous: libvirt keeps the error of a call for the calling thread. */
export function runOperation(context: OperationContext, operation: Operation): unknown {
  switch (operation.kind) {
    case "require_new":
      return requireNew(context, operation.name, operation.mark);
    case "start":
      return start(context, operation.spec, operation.mark);
    case "define":
      return redefine(context, operation.spec, operation.mark);
    case "resume":
      return resume(context, operation.name);
    case "pause":
      return pause(context, operation.name);
    case "shutdown":
      return press(context, "shut down", operation.name, (domain, flags) => {
        const answer = context.libvirt.domainShutdown(domain, flags);
        // A guest that ended by itself just now needs no button. For a moment, libvirt may still report the state
        // before, so that nobody could tell by it.
        return answer < 0 && hasGone(context) ? 0 : answer;
      });
    case "reset":
      return withActive(context, "reset", operation.name, (domain) =>
        context.libvirt.domainReset(domain, 0),
      );
    case "reboot":
      return press(context, "reboot", operation.name, context.libvirt.domainReboot);
    case "off":
      return withDomain(
        context,
        "stop",
        operation.name,
        (found) => found?.mark && powerOff(context, found),
      );
    case "remove":
      return remove(context, operation.name, operation.maker);
    case "observe":
      return withDomain(context, "look at", operation.name, (found) =>
        found?.mark === undefined ? "absent" : found.state,
      );
    case "grow":
      return grow(context, operation.name, operation.path, operation.sizeBytes);
    case "undo_grow":
      return undoGrow(context, operation);
    case "plug":
      return plug(context, operation.name, operation.nic);
    case "unplug":
      return unplug(context, operation.name, operation.hardwareAddress, operation.isRequest);
    case "list":
      return list(context);
  }
}
