/** Where the API is and how to speak to it. */
export interface Connection {
  /** `http://host:port` or `https://host:port`. */
  readonly baseUrl: string;
  readonly tokenFile?: string;
  /**
   * `found`: nobody named the file, it is that of this machine's own n0core. `unreadable`: that one is there,
   * and another user's. Else it was configured.
   */
  readonly tokenOrigin?: "found" | "unreadable";
  /** A PEM file of the authority that signed the API's certificate. */
  readonly tlsCa?: string;
}
