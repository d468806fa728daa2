import { parseRef, type Ref } from "../../../util/ref.ts";
import type { Api, Kind } from "../../core/context.ts";
import type { InterfaceReservation } from "./collection.ts";

/** An object whose guest has an interface, and the hook of its resource. */
export interface Guest {
  readonly kind: Kind & Required<Pick<Kind, "usesInterfaces">>;
  readonly ref: Ref;
}

/** Undefined for an interface that a user reserved by hand, and for a network's own. */
export function guestOf(
  { kinds }: Pick<Api, "kinds">,
  { owner }: InterfaceReservation,
): Guest | undefined {
  const ref = parseRef(owner ?? "");
  const kind = kinds.find((one) => one.kind === ref?.kind);
  return ref === undefined || !hasGuests(kind) ? undefined : { kind, ref };
}

/** Each object once. */
export function guestsOf(
  api: Pick<Api, "kinds">,
  reserved: readonly InterfaceReservation[],
): Guest[] {
  const byOwner = new Map(reserved.map((one) => [one.owner, guestOf(api, one)]));
  return [...byOwner.values()].filter((guest) => guest !== undefined);
}

function hasGuests(kind: Kind | undefined): kind is Guest["kind"] {
  return kind?.usesInterfaces !== undefined;
}
