import { contains, parseBlock } from "../../util/cidr.ts";
import { METADATA_ADDRESSES } from "../../util/metadata-addresses.ts";

/**
 * The addresses of metadata that a network with these gateways has. Without one that lies in its own range, where it may be the address
 * of a guest.
 *
 * @param gateways With their prefix lengths.
 */
export function metadataAddressesOf(gateways: readonly string[]): string[] {
  const ranges = gateways.flatMap((text) => parseBlock(text) ?? []);
  return METADATA_ADDRESSES.filter((text) => {
    const { family, base } = parseBlock(text)!;
    return !ranges.some((range) => range.family === family && contains(range, base));
  });
}

/** What a guest asks. Nothing in it says who the guest is. */
export interface MetadataRequest {
  readonly method: "GET" | "PUT";
  /** Begins with `/`, without a query, and without empty parts inside. */
  readonly path: string;
  /** By their names in small letters. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

export interface MetadataReply {
  readonly status: number;
  readonly contentType?: string;
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Answers the guest behind a tap with this owner. Undefined: nobody knows it. */
export type AnswerMetadata = (
  owner: string,
  request: MetadataRequest,
) => Promise<MetadataReply | undefined>;
