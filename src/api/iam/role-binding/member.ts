import { wrongInProjectName } from "../../../util/project.ts";
import { quote } from "../../../util/quote.ts";
import { formatRef, homeOf, NAME, parseRef, type Ref, SYSTEM_SCOPE } from "../../../util/ref.ts";

const KINDS: readonly string[] = ["user", "group", "service_account"];

/** The member that a text names, which may also spell the default domain or project; undefined for no member. */
function parseMember(text: string): Ref | undefined {
  const [kind = "", scope = "", name = "", ...more] = text.split("/");
  const spelled = name !== "" && more.length === 0 && scope === homeOf(kind);
  const ref = spelled ? { kind, scope, name } : parseRef(text);
  if (ref === undefined || !KINDS.includes(ref.kind)) return undefined;
  return NAME.test(ref.name) && wrongInProjectName(ref.scope) === undefined ? ref : undefined;
}

/** What is wrong with the text of a member; undefined if it is right. */
export function wrongInMember(text: string): string | undefined {
  if (parseMember(text) !== undefined) return undefined;
  return `${quote(text)} is not a member: write user/NAME, group/NAME or service_account/PROJECT/NAME, and user/DOMAIN/NAME or group/DOMAIN/NAME outside of the domain default`;
}

/** The one text of a member, by which callers are compared with it. */
export function memberText(text: string): string {
  const ref = parseMember(text);
  return ref === undefined ? text : formatRef(ref);
}

/** The object with which the member goes: itself; for a group, which is only a name, its domain. */
export function memberObject(member: string): Ref | undefined {
  const ref = parseMember(member);
  if (ref?.kind !== "group") return ref;
  return { kind: "domain", scope: SYSTEM_SCOPE, name: ref.scope };
}
