/** What the page of the models says, for translation. */

export const words = {
  title: "Models",
  hint: "All versions that training has registered. Their figures are of the same frozen test images.",
  emptyTitle: "No model has been registered yet",
  empty: "A training registers a model that is better than the serving one.",
  serves: "Serves now",
  since: (when: string): string => `since ${when}`,
  nothingServes: "No registered version serves. The endpoint may have a model that was deployed from a file.",
  version: (version: number): string => `Version ${version}`,
  statuses: { serving: "Serving", former: "Former", rejected: "Rejected", pending: "Waits for approval" } as Record<
    string,
    string
  >,
  columns: {
    compare: "Compare",
    version: "Version",
    status: "Status",
    map: "mAP",
    map50: "mAP50",
    auroc: "Image AUROC",
    caught: "Caught at zero overkill",
    aurocShort: "AUROC",
    caughtShort: "Caught",
    escape: "Escape",
    overkill: "Overkill",
    latency: "Latency p95",
    created: "Registered",
  },
  aurocHint: "How well the scores of whole pictures tell good from defective: 0.5 is chance, 1 is always",
  caughtHint: "Of the defective pictures, those that score above every good one",
  counts: (good: number, defective: number): string => `Test pictures: ${good} good, ${defective} defective`,
  pick: (version: number): string => `Compare version ${version}`,
  ms: (value: number): string => `${value.toFixed(value < 10 ? 1 : 0)} ms`,
  compare: "Compare the chosen two",
  compareHint: "Choose two versions.",
  comparing: (one: number, other: number): string => `Version ${one} and version ${other}`,
  allModels: "All models",
  figures: "Figures",
  perClass: "Average precision of each class",
  perClassNone: "The evaluations have no figures of classes.",
  objects: (n: number): string => (n === 1 ? "1 object" : `${n} objects`),
  pictures: "The same pictures, as each model sees them",
  picturesNone: "The evaluations of these versions have no pictures in common.",
  labels: (labels: string): string => `Labelled by people: ${labels}`,
  noLabels: "Labelled by people: no defect",
  detections: (n: number): string => (n === 1 ? "1 detection" : `${n} detections`),
  rollback: {
    button: "Serve again",
    title: (version: number): string => `Let version ${version} serve again?`,
    text: (serving: number | null): string =>
      serving === null
        ? "It goes into service step by step, with its own scores in the rules."
        : `It takes the place of version ${serving} step by step, with its own scores in the rules. Version ${serving} serves meanwhile, and stays registered.`,
    submit: "Let it serve",
    started: "The return has started.",
  },
};
