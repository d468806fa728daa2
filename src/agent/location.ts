import { invalid } from "../util/errors.ts";

/** Where a node stands. */
export interface Location {
  readonly datacenter: string;
  readonly availabilityZone: string;
  readonly cell: string;
  readonly rack: string;
  readonly unit: number;
}

const UNIT_MAX = 0xffff_ffff;

/**
 * Parses `<datacenter>/<availability zone>/<cell>/<rack>/<unit>`. The unit is a whole number of at least 0.
 *
 * @throws N0Error `invalid_argument`
 */
export function parseLocation(text: string): Location {
  const [datacenter, availabilityZone, cell, rack, unitText, ...more] = text.split("/");
  const unit = Number(unitText);
  if (
    datacenter === undefined ||
    availabilityZone === undefined ||
    cell === undefined ||
    rack === undefined ||
    unitText === undefined ||
    more.length > 0 ||
    !/^[0-9]{1,10}$/.test(unitText) ||
    unit > UNIT_MAX
  ) {
    throw invalid(
      "location",
      "must be <datacenter>/<availability zone>/<cell>/<rack>/<unit>, the unit a number, such as dc1/az1/cell1/rack1/7",
    );
  }
  return { datacenter, availabilityZone, cell, rack, unit };
}
