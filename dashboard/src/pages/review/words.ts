/** What the review pages say, for translation. */

const images = (n: number): string => (n === 1 ? "1 image" : `${n} images`);

export const words = {
  recordGone: "The record of this image was deleted meanwhile.",
  title: "Review",
  hint: "People decide what the model is not sure of, and check a sample of the rest. Every decision teaches the next model.",
  start: "Start reviewing",
  needsReviewer:
    "Your group may look, but not decide. An administrator can make you a reviewer: loupe users add NAME --group reviewer",
  states: { open: "Open", decided: "Decided", disagreement: "Disagreements" },
  filters: { lines: "All lines", line: "Line", causes: "All causes", cause: "Cause" },
  causes: { verdict: "The model was not sure", sample: "Random check" } as Record<string, string>,
  causeOf: (cause: string, share: number, verdict: string): string =>
    cause === "sample"
      ? `Random check: ${(share * 100).toLocaleString("en", { maximumFractionDigits: 2 })} % of the images with the verdict “${verdict}” come to a person`
      : `The verdict is “${verdict}”: a person decides`,
  open: "Decide",
  look: "Open",
  claimedBy: (by: string): string => `${by} is deciding`,
  emptyTitle: {
    open: "Nothing waits for a decision",
    decided: "Nothing has been decided yet",
    disagreement: "No disagreements",
  },
  empty: {
    open: "Images come here when the model is not sure, and a small share of all others, so that its errors are counted.",
    decided: "Decisions appear here with who made them.",
    disagreement: "Images about which two people decide differently appear here.",
  },
  columns: { image: "Image", verdict: "Model", cause: "Why", decision: "Decision", when: "When", state: "State" },
  disagree: "People disagree",
  left: (n: number, more: boolean): string => `${n.toLocaleString("en")}${more ? " or more" : ""} left`,
  today: (n: number, more: boolean): string => `${n}${more ? "+" : ""} decided by you today`,
  claim: {
    left: (text: string): string => `Yours for ${text}`,
    title: "While you work on an image, nobody else gets it. The time starts anew each minute while you are active.",
    over: "Not yours",
  },
  lost: {
    title: "This image is no longer yours.",
    kept: "Your boxes are still here.",
    again: "Claim it again",
    next: "Next image",
    taken: (by: string, until: string): string => `${by} works on it until ${until}.`,
  },
  done: (decision: string, serial: string): string => `${serial}: ${decision}`,
  last: (serial: string, decision: string): string => `Before: ${serial}, ${decision}`,
  change: "Change",
  why: "Why it is here",
  kinds: {
    defect: "Defect",
    doubtful: "Possible defect",
    allowed: "Defect within the allowed count",
    ignored: "In an ignored zone",
  } as Record<string, string>,
  times: (kind: string, label: string, count: number, most: string, least: string): string =>
    `${kind}: ${label}, ${count} times, ${most} to ${least}`,
  noReasons: "The model found nothing that counts.",
  others: "Other decisions",
  othersHint: "Their boxes are dotted in the picture.",
  boxes: "Boxes",
  showAll: (n: number): string => `Show ${n} weaker ${n === 1 ? "detection" : "detections"} of the model`,
  hideAll: "Hide weaker detections",
  weaker: "Below the review score",
  comment: "Comment",
  commentHint: "For whoever looks at this image later",
  decide: {
    accept: (defects: number): string =>
      defects ? `Defective, with ${defects === 1 ? "this box" : `these ${defects} boxes`}` : "Good, as shown",
    save: (defects: number): string =>
      defects ? `Save as defective, ${defects === 1 ? "1 box" : `${defects} boxes`}` : "Save as good",
    none: "No defect",
    bad: "Defective",
    edit: "Correct",
    unusable: "Unusable",
    skip: "Skip",
  },
  decisions: { pass: "good", fail: "defective", unusable: "picture unusable" } as Record<string, string>,
  finished: "Done: nothing waits for a decision",
  skipped: (n: number): string => `You skipped ${images(n)}.`,
  again: "Look at them again",
  toQueue: "Queue",
  noPicture:
    "The browser cannot show this picture: it was deleted, or has a format that browsers do not know, such as TIFF.",
  preview: "Shown instead: a smaller copy.",
  picture: (serial: string): string => `Picture of ${serial}`,
  keys: "Keys",
  help: "Help (?)",
  helpTitle: "Keys of the review screen",
  helpDecide: "Decide",
  helpPicture: "Picture and boxes",
  helpRows: {
    decide: [
      ["A", "Accept as shown: defective with the boxes, or good without"],
      ["R", "No defect: removes all boxes"],
      ["D", "Defective, with boxes or without"],
      ["C", "Correct the boxes; then Enter saves"],
      ["U", "The picture is unusable"],
      ["S", "Skip: somebody else decides"],
      ["M", "Comment"],
      ["?", "This help"],
    ],
    picture: [
      ["Tab or [ ]", "Select a box"],
      ["Arrows", "Move it by 1 pixel, with Shift by 10; without a selection: move the picture"],
      ["Ctrl+arrows", "Move its right and bottom edges; with Alt the left and top ones"],
      ["N", "Add a box in the middle"],
      ["B", "Draw a box with the pointer"],
      ["L or 1…9", "Change the label"],
      ["Delete", "Remove the box"],
      ["Ctrl+Z, Ctrl+Y", "Undo, do again"],
      ["+ − 0", "Zoom in, out, whole picture"],
      ["Space", "Hold to drag the picture"],
      ["Esc", "Deselect"],
    ],
  },
};
