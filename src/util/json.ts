/** The only values that may cross a restart: what JSON can hold. Bytes counts travel as decimal strings. */
export type Json =
  | null
  | boolean
  | number
  | string
  | readonly Json[]
  | { readonly [key: string]: Json | undefined };
