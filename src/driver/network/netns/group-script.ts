import { type Combination, setsOf } from "./group-chains.ts";
import { RULES } from "./group-table.ts";

export function chainLines({ id, ingress, egress }: Combination, table: string): string[] {
  return [
    [`in_${id}`, ingress],
    [`out_${id}`, egress],
  ].flatMap(([name, rules]) => [
    `add chain ${table} ${String(name)}\nflush chain ${table} ${String(name)}\n`,
    ...(rules as string[]).map((rule) => `add rule ${table} ${String(name)} ${rule}\n`),
  ]);
}

/** The sets of a group. */
export function setText(group: string): string {
  const { family, table } = RULES;
  return ([4, 6] as const)
    .flatMap((version) =>
      setsOf(version, group).map(
        (name) => `add set ${family} ${table} ${name} { type ipv${version}_addr; }\n`,
      ),
    )
    .join("");
}
