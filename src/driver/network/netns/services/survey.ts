import { dirname, join } from "node:path";
import { defined } from "../../../../util/defined.ts";
import { digestOfNames } from "../../../../util/guest-name.ts";
import { NAME_ON_NODE } from "../../../../util/ref.ts";
import type { NetworkServices } from "../../network-services.ts";
import type { PartState, TapEntry } from "../../network-survey.ts";
import type { Context } from "../context.ts";
import { processesBelow, serverOf } from "./dnsmasq.ts";
import { foldersIn, namesIn, readText, type ServiceFiles } from "./service-files.ts";
import {
  configText,
  entryIn,
  guestsIn,
  hostText,
  isNatOffIn,
  namesText,
  settingsIn,
} from "./service-text.ts";
import { filesOfEntry, placeOf, servicesHere } from "./services.ts";

export const NO_ENTRY: TapEntry = { state: "absent" };

export interface ServicesSurvey {
  readonly state: PartState;
  readonly served?: NetworkServices;
  /** Undefined without files. */
  readonly namesElsewhere?: string;
  /** By the name of the tap. */
  readonly entries: ReadonlyMap<string, TapEntry>;
}

/** What the services must agree with: the rest of the network, as it is. */
export interface ServedNetwork {
  /** What the bridge has. */
  readonly gateways: readonly string[];
  /** Of the bridge; undefined if there is none. */
  readonly mtu: number | undefined;
  readonly isNatOff: boolean;
}

export function surveyServices(
  context: Context,
  networkName: string,
  { gateways, mtu, isNatOff }: ServedNetwork,
): ServicesSurvey {
  const { files, path } = placeOf(context, networkName);
  if (!foldersIn(context.servicesFolder).includes(networkName)) {
    return { state: "absent", entries: new Map() };
  }
  const served = servicesHere(files);
  const config = readText(files.config);
  const settings = settingsIn(config);
  const bridge = context.names.bridge(networkName);
  const isConfigured =
    configText({ bridge, gateways, ...settings }) === config &&
    (settings.mtu ?? mtu) === mtu &&
    (isNatOffIn(readText(files.servers)) ?? isNatOff) === isNatOff;
  const isWhole = served !== undefined && isConfigured && serverOf(files, path) !== undefined;
  return {
    state: isWhole ? "whole" : "altered",
    ...defined({ served }),
    namesElsewhere: digestOfNames(guestsIn(readText(files.elsewhere))),
    entries: entriesIn(files, settings.domain),
  };
}

function entriesIn(files: ServiceFiles, domain: string | undefined): Map<string, TapEntry> {
  const tapNames = new Set([...namesIn(files.hosts), ...namesIn(files.names)]);
  return new Map([...tapNames].map((tapName) => [tapName, entryOf(files, tapName, domain)]));
}

function entryOf(files: ServiceFiles, tapName: string, domain: string | undefined): TapEntry {
  const paths = filesOfEntry(files, tapName);
  const [host, names] = [readText(paths.host), readText(paths.names)];
  const entry = entryIn(host, names);
  const isWhole =
    entry !== undefined && hostText(entry) === host && namesText(entry, domain) === names;
  return isWhole ? { state: "whole", entry } : { state: "altered" };
}

/** The networks with files or processes of services, which are none of these. */
export function strayServices(context: Context, here: readonly string[]): string[] {
  const { servicesFolder } = context;
  const ofProcesses = processesBelow(servicesFolder).flatMap(({ config }) => {
    const folder = dirname(config);
    return dirname(folder) === servicesFolder
      ? [folder.slice(join(servicesFolder, "/").length)]
      : [];
  });
  const all = new Set([...foldersIn(servicesFolder), ...ofProcesses]);
  return [...all].filter((name) => NAME_ON_NODE.test(name) && !here.includes(name)).sort();
}
