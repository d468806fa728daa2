/** Where guests ask who they are, in every network. Cloud images know the first and the last. */
export const METADATA_ADDRESSES: readonly string[] = [
  "169.254.169.254",
  "169.254.1.2",
  "fd00:ec2::254",
];
/** Of HTTP. */
export const METADATA_PORT = 80;
