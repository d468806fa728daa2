import { resolve } from "node:path";
import { z } from "zod";
import type { Location } from "../agent/location.ts";
import { parseLocation } from "../agent/location.ts";
import { parseBytes } from "../util/bytes.ts";
import { formatAddress, formatCidr, parseAddress, parseBlock } from "../util/cidr.ts";
import { formatDuration, parseDuration } from "../util/duration.ts";

/** One value, from YAML (typed) or from a flag or variable (a string). */
type Parse<T> = (value: unknown) => T;

/** Its message is the rule, such as `must be a whole number`. */
class WrongValue extends Error {}

function wrong(rule: string): never {
  throw new WrongValue(rule);
}

/** A setting of the schema. The error of `parse` is its rule. */
export function setting<T>(parse: Parse<T>) {
  return z.unknown().transform((value, context) => {
    try {
      return parse(value);
    } catch (reason) {
      const message = reason instanceof Error ? reason.message : String(reason);
      context.addIssue({ code: "custom", message });
      return z.NEVER;
    }
  });
}

export const text: Parse<string> = (value) =>
  typeof value === "string" && value !== "" ? value : wrong("must be a text that is not empty");

/** An absolute path. A relative one starts at the working directory. */
export const path: Parse<string> = (value) => resolve(text(value));

export const flag: Parse<boolean> = (value) => {
  if (value === true || value === "true" || value === "1" || value === "") return true;
  if (value === false || value === "false" || value === "0") return false;
  return wrong("must be true or false");
};

export function wholeNumber(min: number, max: number): Parse<number> {
  return (value) => {
    const number = typeof value === "string" && /^\d{1,15}$/.test(value) ? Number(value) : value;
    if (typeof number === "number" && Number.isInteger(number) && number >= min && number <= max) {
      return number;
    }
    return wrong(`must be a whole number from ${min} to ${max}`);
  };
}

/** A number from 0 to 1, such as `0.25`. */
export const share: Parse<number> = (value) => {
  const number = typeof value === "string" && /^\d?\.?\d{1,6}$/.test(value) ? Number(value) : value;
  if (typeof number === "number" && number >= 0 && number <= 1) return number;
  return wrong("must be a number from 0 to 1, such as 0.25");
};

/** Bytes: a number, or a size such as `10GiB`. */
export const bytes: Parse<bigint> = (value) => {
  if (typeof value === "bigint") return value;
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return BigInt(value);
  return typeof value === "string" ? parseBytes(value) : wrong("must be a size such as 10GiB");
};

/** Milliseconds, from a duration such as `15s`. */
export const duration: Parse<number> = (value) => {
  const ms = typeof value === "string" ? parseDuration(value) : undefined;
  return ms ?? wrong("must be a duration such as 500ms, 15s, 10m, 1h or 7d");
};

export function durationBetween(minMs: number, maxMs: number): Parse<number> {
  return (value) => {
    const ms = duration(value);
    if (ms >= minMs && ms <= maxMs) return ms;
    return wrong(`must be from ${formatDuration(minMs)} to ${formatDuration(maxMs)}`);
  };
}

export function oneOf<const T extends string>(values: readonly T[]): Parse<T> {
  return (value) => values.find((v) => v === value) ?? wrong(`must be one of ${values.join(", ")}`);
}

/** A sequence in YAML; elsewhere separated by commas. */
export function list<T>(item: Parse<T>): Parse<readonly T[]> {
  return (value) => {
    const items = typeof value === "string" ? value.split(",").filter((v) => v !== "") : value;
    return Array.isArray(items) ? items.map(item) : wrong("must be a list");
  };
}

/** A CIDR or an address, in canonical form. */
export const cidr: Parse<string> = (value) => {
  const block = parseBlock(text(value));
  return block === undefined ? wrong("must be CIDRs such as 10.0.0.0/24") : formatCidr(block);
};

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}$/;

export const name: Parse<string> = (value) =>
  typeof value === "string" && NAME.test(value)
    ? value
    : wrong('must be 1 to 63 letters, digits, ".", "_" or "-", beginning with a letter or digit');

/** An `http` or `https` URL without a path. */
export const baseUrl: Parse<string> = (value) => {
  const url = typeof value === "string" ? URL.parse(value) : null;
  return url !== null && /^https?:$/.test(url.protocol) && /^\/?$/.test(url.pathname)
    ? url.origin
    : wrong("must be a URL such as https://cloud.example:20180");
};

/**
 * `<datacenter>/<availability zone>/<cell>/<rack>/<unit>`, where all parts except the unit may be empty.
 */
export const location: Parse<Location> = (value) => {
  try {
    return parseLocation(text(value));
  } catch {
    // The rule, without the name of the field, which the caller puts before it.
    return wrong(
      "must be <datacenter>/<availability zone>/<cell>/<rack>/<unit>, such as tokyo/az1/c1/r2/14 or ////0",
    );
  }
};

export function formatLocation(l: Location): string {
  return [l.datacenter, l.availabilityZone, l.cell, l.rack, l.unit].join("/");
}

/** In its one form, so that equal addresses are equal texts. */
export const ipAddress: Parse<string> = (value) => {
  const address = text(value);
  const family = address.includes(":") ? 6 : 4;
  const parsed = parseAddress(address, family);
  return parsed === undefined
    ? wrong("must be an IP address such as 10.0.0.1")
    : formatAddress(parsed, family);
};

/** Of a network device of the node. */
export const deviceName: Parse<string> = (value) => {
  const name = text(value);
  return /^[a-zA-Z0-9][a-zA-Z0-9._@-]{0,14}$/.test(name)
    ? name
    : wrong("must be the name of a network device such as eth1");
};
