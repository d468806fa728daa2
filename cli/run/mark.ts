/** The annotation of what n0cli run made. Its value is the name of the virtual machine. */
export const MADE_BY_RUN = "n0cli/run";
