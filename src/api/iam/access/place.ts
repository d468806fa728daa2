/** Where a permission holds or is needed: in the whole cloud, in a domain, or in a project. */
export type Place =
  | { readonly kind: "system" }
  | { readonly kind: "domain"; readonly name: string }
  | { readonly kind: "project"; readonly name: string };

export const SYSTEM: Place = { kind: "system" };

/** The text form: `system`, `domain/NAME`, `project/NAME`. */
export function formatPlace(place: Place): string {
  return place.kind === "system" ? "system" : `${place.kind}/${place.name}`;
}

/** Undefined for any other text. */
export function parsePlace(text: string): Place | undefined {
  if (text === "system") return SYSTEM;
  const [kind, name = "", ...more] = text.split("/");
  if (name === "" || more.length > 0) return undefined;
  return kind === "domain" || kind === "project" ? { kind, name } : undefined;
}

/** For an error: `the system`, `domain "x"`, `project "x"`. */
export function placeText(place: Place): string {
  return place.kind === "system" ? "the system" : `${place.kind} "${place.name}"`;
}
