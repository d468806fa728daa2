import type { Json } from "../src/util/json.ts";

/** For each field of a Ref: the field in which the version before held the name of that object. */
type Names = Readonly<Record<string, string>>;

const REF: Names = { ref: "name" };
const TAP: Names = { ref: "name", network: "networkName" };
const NETWORK: Names = { network: "networkName" };

/** The fields of the inputs before they held Refs, by the name of the step. */
const OLDER_NAMES: Readonly<Record<string, Names>> = {
  "block_storage.forget": REF,
  "block_storage.put_record": REF,
  "block_storage.settle_record": REF,
  "domain.define_lost": REF,
  "domain.grow_disk": { ref: "name", virtualMachine: "virtualMachineName" },
  "domain.pause": REF,
  "domain.power_off": REF,
  "domain.press_power_button": REF,
  "domain.reboot": REF,
  "domain.redefine": REF,
  "domain.release": REF,
  "domain.remove": REF,
  "domain.restore_seed": REF,
  "domain.resume": REF,
  "domain.rewrite_seed": REF,
  "domain.start": REF,
  "domain.start_new": REF,
  "domain.write_new_seed": REF,
  "network.attach_tap": TAP,
  "network.make_tap": TAP,
  "network.move_tap": TAP,
  "network.remove_tap": TAP,
  "network.reserve_interface": NETWORK,
  "network.restore": NETWORK,
  "network.sweep": NETWORK,
  "virtual_machine.forget": REF,
  "virtual_machine.put_record": REF,
  "virtual_machine.reserve_uuid": REF,
  "virtual_machine.settle_record": REF,
  "volume.ensure_copied": REF,
  "volume.ensure_empty": REF,
  "volume.ensure_fetched": REF,
  "volume.ensure_overlay": REF,
  "volume.ensure_replicated": REF,
  "volume.forget": { replicaOf: "replicaOf" },
  "volume.grow": REF,
  "volume.mark": REF,
  "volume.record_overlay": { ref: "name", source: "sourceName" },
  "volume.remove": REF,
};

/** The fields that the inputs of the version before did not have. */
const YOUNGER_FIELDS = [
  ...["identity", "limits", "natOff", "pciSlot", "groups", "securityGroups"],
  ...["services", "entry"],
];

export const STEPS_WITH_OLDER_INPUTS = Object.keys(OLDER_NAMES);

/** The input as the version before would have written it. */
export function olderInput(step: string, input: Json): Json {
  const names = OLDER_NAMES[step];
  return names === undefined ? input : withNames(names, input);
}

function withNames(names: Names, input: Json): Json {
  if (typeof input !== "object" || input === null || Array.isArray(input)) return input;
  const older = Object.entries(input).filter(([field]) => !YOUNGER_FIELDS.includes(field));
  const entries = older.map(([field, value]) => {
    const was = names[field];
    // Such as `before` and `after`, which are inputs themselves.
    if (was === undefined) return [field, withNames(names, value!)] as const;
    return [was, (value as { readonly name: string } | null)?.name ?? ""] as const;
  });
  return Object.fromEntries(entries);
}
