import { formatBytes } from "../../../util/bytes.ts";

/** What a quota limits. A resource that counts something else adds its name here. */
export const AMOUNTS = [
  "cpu_milli_core",
  "memory_bytes",
  "disk_bytes",
  "virtual_machines",
  "block_storages",
  "images",
  "networks",
  "security_groups",
  "addresses",
] as const;
export type AmountName = (typeof AMOUNTS)[number];

/** What something takes. An amount that is not here is 0. */
export type Amounts = Readonly<Partial<Record<AmountName, bigint>>>;

export function isAmountName(name: string): name is AmountName {
  return AMOUNTS.some((known) => known === name);
}

/** The larger of the two for each amount. One of them itself, if the other adds nothing. */
export function largest(a: Amounts, b: Amounts): Amounts {
  if (a === b) return a;
  const result: Partial<Record<AmountName, bigint>> = { ...a };
  for (const [name, amount] of entriesOf(b)) {
    if (amount > (a[name] ?? 0n)) result[name] = amount;
  }
  return result;
}

export function entriesOf(amounts: Amounts): [AmountName, bigint][] {
  return Object.entries(amounts) as [AmountName, bigint][];
}

/** An amount that has reached its limit. */
export interface Lack {
  readonly name: AmountName;
  readonly used: bigint;
  readonly asked: bigint;
  readonly allowed: bigint;
}

/** Such as `memory: 12GiB used, 4GiB asked, 14GiB allowed`. */
export function lackText({ name, used, asked, allowed }: Lack): string {
  const text = (amount: bigint) => amountText(name, amount);
  return `${wordOf(name)}: ${text(used)} used, ${text(asked)} asked, ${text(allowed)} allowed`;
}

function wordOf(name: AmountName): string {
  return name.replace(/_(bytes|milli_core)$/, "").replaceAll("_", " ");
}

function amountText(name: AmountName, amount: bigint): string {
  if (name.endsWith("_bytes")) return formatBytes(amount);
  return name.endsWith("_milli_core") ? `${amount}m` : `${amount}`;
}
