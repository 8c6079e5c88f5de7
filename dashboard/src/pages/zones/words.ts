/** What the page of the zones says, for translation. */

export const words = {
  title: (line: string): string => `Zones of ${line}`,
  hint: "Detections count only inside the regions, and never inside ignored zones. Without regions, all of the picture counts.",
  back: "Thresholds",
  kinds: { region: "Region of interest", ignored: "Ignored zone" } as Record<string, string>,
  add: { region: "Draw regions", ignored: "Draw ignored zones" },
  newKind: "New zones are",
  zones: "Zones",
  none: "No zones: all of the picture counts.",
  everywhere: "Without a region, all of the picture outside the ignored zones counts.",
  picture: (serial: string): string => `Picture of ${serial}, with the zones of its line`,
  pictures: "Other pictures of the line",
  noImages: "No image of this line has been inspected yet",
  noImagesHint: "Zones are drawn on a picture of the line. Drop one, and come back.",
  detections: (counted: number, leftOut: number): string =>
    `Of the detections in the last images, ${counted} count and ${leftOut} are left out. Left-out ones are gray.`,
  counts: "Counts",
  leftOut: "Left out",
  crosses: "A zone crosses itself. The rules refuse that: move its points.",
  most: "A line has at most 20 regions and 20 ignored zones.",
  how: "Draw with B: click the points, and the first one or Enter to close. Drag points to move them; Tab and arrows do it without a pointer.",
};
