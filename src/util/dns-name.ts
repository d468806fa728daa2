const LABEL = "[a-zA-Z0-9-]{1,63}";
const DOMAIN = new RegExp(`^${LABEL}(\\.${LABEL}){0,7}$`);

/** A domain such as `example.internal`, without a dot at its end. */
export function isDomainName(text: string): boolean {
  return text.length <= 253 && DOMAIN.test(text);
}

/** A domain as it is written, without the dot that may end it. */
export function withoutRootDot(domain: string): string {
  return domain.replace(/\.$/, "");
}
