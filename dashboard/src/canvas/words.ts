/** What the picture editor says, for translation. */

export const words = {
  tools: "Picture tools",
  select: "Select and move",
  draw: { box: "Draw a box", polygon: "Draw a zone" },
  add: { box: "Add a box in the middle", polygon: "Add a zone in the middle" },
  undo: "Undo",
  redo: "Redo",
  remove: "Remove",
  label: "Label",
  zoom: "Zoom",
  zoomIn: "Zoom in",
  zoomOut: "Zoom out",
  whole: "Whole picture",
  picker: {
    title: "Label",
    find: "Find or type a label",
    newLabel: (label: string): string => `New label “${label}”`,
    now: "now",
  },
  list: {
    title: "Boxes",
    none: "No boxes",
    remove: (what: string): string => `Remove: ${what}`,
    byPerson: "drawn or changed",
  },
  help: {
    look: "Plus and minus zoom, 0 shows the whole picture, arrows move it.",
    boxes:
      "Tab selects a box. Arrows move it, by ten pixels with Shift, and resize it with Control or Alt. N adds a box, L or a number changes the label, Delete removes, Control Z undoes.",
    polygons:
      "Tab selects a zone and then its points. Arrows move what is selected, by ten pixels with Shift. N adds a zone, I a point, L or a number changes the kind, Delete removes, Control Z undoes.",
  },
  spoken: {
    percent: (score: number, doubtful: boolean): string =>
      `${Math.round(score * 100)} percent${doubtful ? ", doubtful" : ""}`,
    place: (index: number, count: number): string => `${index} of ${count}`,
    extent: (width: number, height: number, x: number, y: number): string =>
      `${width} by ${height} pixels at ${x}, ${y}`,
    points: (count: number): string => `${count} points`,
    point: (index: number, count: number, x: number, y: number): string => `Point ${index} of ${count} at ${x}, ${y}`,
    left: (count: number): string => `${count || "none"} left`,
    undone: "Undone",
    redone: "Done again",
    nothing: { undo: "Nothing to undo", redo: "Nothing to do again" },
    cleared: "All removed",
    removed: "Removed",
    added: "Added",
    relabelled: (name: string): string => `Now ${name}`,
    edge: "At the edge",
    empty: "nothing",
  },
};
