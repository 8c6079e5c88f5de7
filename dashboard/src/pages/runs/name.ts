import type { RunSummary } from "../../api/paths.learning";
import { shortVersion } from "../../logic/format";

/** What people call a run: the name that the plan gave it; before that the beginning of the execution's. */
export const nameOf = ({ run, name }: Pick<RunSummary, "run" | "name">): string => run ?? shortVersion(name);
