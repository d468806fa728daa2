import { FILTER_TABLE } from "./filter-table.ts";
import { changeElements, type ElementTable, type TableChange } from "./nft-elements.ts";

/** Where the filters are. */
export const FILTERS: ElementTable = { family: "bridge", table: FILTER_TABLE };

/** Changes elements of the tables in the namespace at `path`: all of them or, if it throws, none. */
export type ChangeFilters = (path: string, changes: readonly TableChange[]) => Promise<void>;

export const changeFilters: ChangeFilters = changeElements;
