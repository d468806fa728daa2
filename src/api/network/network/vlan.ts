import { invalid } from "../../../util/errors.ts";
import { quote } from "../../../util/quote.ts";
import { VLAN_ID } from "../../core/annotations.ts";
import type { Annotations } from "../../core/reserved.ts";

const VLAN_MAX = 4094;

/** The VLAN that a network joins; undefined for none, and for a text that an older version has let pass. */
export function vlanOf({ annotations }: { readonly annotations: Annotations }): number | undefined {
  const text = annotations[VLAN_ID];
  if (text === undefined || !/^\d{1,4}$/.test(text)) return undefined;
  return Number(text) <= VLAN_MAX ? Number(text) : undefined;
}

/** @throws N0Error `invalid_argument`. */
export function checkVlan(request: {
  readonly annotations: Annotations;
  readonly isolated: boolean;
}): void {
  const text = request.annotations[VLAN_ID];
  if (text === undefined) return;
  const field = `annotations["${VLAN_ID}"]`;
  if (vlanOf(request) === undefined) {
    throw invalid(field, `must be from 0 (untagged) to ${VLAN_MAX}, got ${quote(text)}`);
  }
  if (request.isolated)
    throw invalid(field, "an isolated network stays on its nodes: leave it out");
}

/** For a request to a node. */
export function vlanIn(network: { readonly annotations: Annotations }) {
  const vlanId = vlanOf(network);
  return vlanId === undefined ? {} : { vlanId };
}
