import type { DomainDefinition } from "../../domain-definition.ts";
import type { LibvirtConnection } from "../connection.ts";
import { checkName } from "../domain-paths.ts";
import type { StateWatcher } from "../state-watcher.ts";

export function libvirtDefinition(
  connection: LibvirtConnection,
  watcher: StateWatcher,
): DomainDefinition {
  return {
    async requireNew(name, mark, signal) {
      checkName(name);
      await connection.read({ kind: "require_new", name, mark }, signal);
    },
    async ensureDefined(spec, mark, signal) {
      checkName(spec.name);
      await connection.change({ kind: "define", spec, mark }, signal);
    },
    async ensureAbsent(name, maker, signal) {
      checkName(name);
      await watcher.during(name, () => connection.change({ kind: "remove", name, maker }, signal));
    },
    async list(signal) {
      const found = await connection.read({ kind: "list" }, signal);
      // The watcher reports changes relative to the known states, and this caller now knows these states.
      watcher.compare(found);
      return found;
    },
  };
}
