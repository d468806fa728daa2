/** An OIDC provider: who may say which people of a domain call. */
export interface OidcProvider {
  /** The domain of the people. */
  readonly domain: string;
  /** As the provider spells it, also with a slash at the end. */
  readonly issuer: string;
  /** The client as which n0cli signs people in. ID tokens must be for it. */
  readonly clientId: string;
  /** Tokens may also be for these audiences, such as access tokens for this API. */
  readonly audiences: readonly string[];
  /** The claim with the user name. Default: `preferred_username`, else `email`, else `sub`. */
  readonly userClaim?: string;
  /** The claim with the groups. Default: `groups`. */
  readonly groupsClaim: string;
}

/** What a token says of its bearer. */
export interface VerifiedToken {
  readonly issuer: string;
  /** Names the person at the issuer, and is never given to another. */
  readonly subject: string;
  /** The user name and groups as the claims spell them. */
  readonly userName: string;
  readonly groups: readonly string[];
  /** When it counts no longer, by the clock of the API. */
  readonly expiresMs: number;
}
