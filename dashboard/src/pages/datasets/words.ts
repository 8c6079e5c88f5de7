/** What the page of the data sets says, for translation. */

const images = (n: number): string => (n === 1 ? "1 image" : `${n.toLocaleString("en")} images`);

export const words = {
  title: "Data sets",
  hint: "The labelled images that models are trained and tested on. A snapshot never changes; its name is the hash of its content.",
  set: "Data set",
  own: "trained by this stack",
  emptyTitle: "There is no data set yet",
  empty: "Import labelled images, in any usual format:",
  emptyCommand: "loupe import FOLDER",
  figures: { images: "Images", classes: "Classes", good: "Without a defect", leftOut: "Left out" },
  parts: { train: "Training", validation: "Validation", test: "Test" } as Record<string, string>,
  partsTitle: "Parts",
  classes: "Images of each class",
  objects: (n: number): string => (n === 1 ? "1 object" : `${n.toLocaleString("en")} objects`),
  few: (n: number): string => `Fewer than ${n} test images: its figures are uncertain.`,
  columns: { label: "Class", total: "Images" },
  findings: "What the import left out",
  findingsNone: "Nothing was left out.",
  findingsMore: (n: number): string => `The first ${n} are shown.`,
  finding: { instead: "Kept instead" },
  snapshots: "Snapshots",
  snapshot: { id: "Snapshot", stored: "Stored", images: "Images", change: "Change" },
  shown: "shown",
  show: "Show",
  change: (n: number): string => (n === 0 ? "same number" : n > 0 ? `+${images(n)}` : `−${images(-n)}`),
};
