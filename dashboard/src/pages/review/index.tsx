import "./review.css";
import { Queue } from "./queue";
import { Work } from "./work";

/** The review queue, or an image of it. */
export default function Review({ params }: { params: Record<string, string> }) {
  return params.id ? <Work id={params.id} /> : <Queue />;
}
