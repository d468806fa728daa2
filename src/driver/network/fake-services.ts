import { defined } from "../../util/defined.ts";
import { digestOfNames } from "../../util/guest-name.ts";
import type { FakeNetwork, FakeTap } from "./fake-groups.ts";
import type { AnswerMetadata } from "./metadata.ts";
import { gatewaysOf } from "./network-check.ts";
import type { NetworkSpec } from "./network-driver.ts";
import { checkServices, type GuestEntry, type NetworkServices } from "./network-services.ts";
import type { TapEntry } from "./network-survey.ts";

/** DHCP and DNS of the network in the fake driver. What the request does not say stays; without a gateway there are none. */
export function servicesAfter(
  network: NetworkSpec,
  before: NetworkServices | undefined,
): NetworkServices | undefined {
  if (gatewaysOf(network).length === 0) return undefined;
  return network.services === undefined ? before : checkServices(network.services);
}

/** How they know the guest of the tap. They do not know a guest without an address. */
export function entryAfter(
  asked: GuestEntry | undefined,
  { entry }: FakeTap,
  { services }: FakeNetwork,
): GuestEntry | undefined {
  const known = services === undefined ? undefined : (asked ?? entry);
  const isServed = known?.ipv4Address !== undefined || known?.ipv6Address !== undefined;
  return isServed ? known : undefined;
}

/** @returns the names of the networks whose services had ended, or were left alone. */
export function keepServices(
  networks: Map<string, FakeNetwork>,
  strayServices: Set<string>,
): string[] {
  const lost = [...strayServices];
  strayServices.clear();
  return [...lost, ...mended(networks, "services")];
}

/** @returns the names of the networks that had lost metadata. */
export function keepMetadata(
  fake: {
    answerMetadata: AnswerMetadata | undefined;
    readonly hands: { readonly networks: Map<string, FakeNetwork> };
  },
  answer: AnswerMetadata | undefined,
): string[] {
  fake.answerMetadata = answer;
  return answer === undefined ? [] : mended(fake.hands.networks, "metadata");
}

function mended(networks: Map<string, FakeNetwork>, part: "services" | "metadata"): string[] {
  const ended = [...networks].filter(([, { damage }]) => damage?.[part] !== undefined);
  for (const [name, network] of ended) {
    const { [part]: _, ...damage } = network.damage ?? {};
    networks.set(name, { ...network, damage });
  }
  return ended.map(([name]) => name);
}

export function entryOf({ entry }: FakeTap): TapEntry {
  return entry === undefined ? { state: "absent" } : { state: "whole", entry };
}

export function servicesSurvey({ services: served, elsewhere = [] }: FakeNetwork) {
  const services = served === undefined ? "absent" : "whole";
  const namesElsewhere = served === undefined ? undefined : digestOfNames(elsewhere);
  const known = defined({ served, namesElsewhere });
  return { services, metadata: "whole", ...known, strayEntries: [] } as const;
}
