import type { Ref } from "../../../../util/ref.ts";
import { onReadinessChange } from "../../../pool/node/readiness.ts";
import type { Api } from "../../context.ts";
import { virtualMachines } from "../collection.ts";
import { virtualMachinesOn } from "../record.ts";

async function touchAllOn(api: Api, nodeName: string, touch: (ref: Ref) => void): Promise<void> {
  for (const { key } of await virtualMachinesOn(api, nodeName)) touch(virtualMachines.refOf(key));
}

/** The events that change how a virtual machine looks: a report of its node, its silence, its return. */
export function onObservation(api: Api, touch: (ref: Ref) => void): () => void {
  const touchNode = (nodeName: string) => {
    void touchAllOn(api, nodeName, touch).catch((error: unknown) => {
      api.log.warn("cannot report a change of a node", { nodeName, error });
    });
  };
  const stops = [
    api.observed.onChange(touch),
    api.observed.onNodeChange(touchNode),
    onReadinessChange(api, touchNode),
  ];
  return () => stops.forEach((stop) => stop());
}
