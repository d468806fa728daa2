/** Where the API is and how to speak to it. */
export interface Connection {
  /** `http://host:port` or `https://host:port`. */
  readonly baseUrl: string;
  readonly tokenFile?: string;
  /**
   * `found`: nobody named the file, and it is the token file of this host's own n0core. `unreadable`: that file
   * exists and belongs to another user. Otherwise the user has configured it.
   */
  readonly tokenOrigin?: "found" | "unreadable";
  /** The file of the sign-in at this API, which is used if there is no configured token. */
  readonly signIn?: string;
  /** A PEM file of the authority that signed the API's certificate. */
  readonly tlsCa?: string;
  /** The project of all calls; undefined for the default one. */
  readonly project?: string;
}

export function portOf(baseUrl: string): number {
  const { port, protocol } = new URL(baseUrl);
  return port === "" ? (protocol === "https:" ? 443 : 80) : Number(port);
}
