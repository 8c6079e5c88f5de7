import "../thresholds/thresholds.css";
import "./zones.css";
import { ArrowLeft } from "lucide-preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { api, ask } from "../../api/client";
import type { RulesDocument } from "../../api/paths.rules";
import { can } from "../../api/session";
import type { Inspection } from "../../api/types";
import { useEditing } from "../../canvas/editing";
import type { Size } from "../../canvas/geometry";
import { LabelPicker } from "../../canvas/label-picker";
import { type Shape, selectedShape, start } from "../../canvas/model";
import { PictureEditor } from "../../canvas/picture-editor";
import { ShapeList } from "../../canvas/shape-list";
import type { Layer } from "../../canvas/shapes";
import { Segments } from "../../components/fields";
import { Card, Page } from "../../components/page";
import { Empty, Loading, Notice, Shown } from "../../components/states";
import { Thumbnail } from "../../components/thumbnail";
import { useLoad } from "../../hooks/load";
import { usePicture } from "../review/picture-size";
import { Changes } from "../thresholds/changes";
import { ruleOf } from "../thresholds/document";
import { type Draft, useDraft } from "../thresholds/draft";
import { usePreview } from "../thresholds/previewed";
import { WhatIf } from "../thresholds/what-if";
import {
  crossesItself,
  isLeftOut,
  KINDS,
  type Kind,
  originalsOf,
  shapesOf,
  shareBox,
  withZones,
  zonesFrom,
  zonesOf,
} from "./logic";
import { words } from "./words";

const PICTURES = 12;
const MOST_ZONES = 20;
const toneOf = ({ label }: Pick<Shape, "label">): string => (label === "region" ? "tone-region" : "tone-ignored");
const nameOf = (label: string): string => words.kinds[label] ?? label;

/** Where on a line's pictures defects count. */
export default function ZonesPage({ params }: { params: Record<string, string> }) {
  const line = params.line ?? "";
  const { loaded, draft } = useDraft();
  const images = useLoad(() => {
    const query = { line, limit: PICTURES, since: "30d" };
    return ask(api.GET("/api/inspections", { params: { query } }));
  }, [line]);
  const pictured = images.data?.items.filter(({ verdict }) => verdict !== "unreadable");
  return (
    <Page
      title={words.title(line)}
      hint={words.hint}
      actions={
        <a class="button" href={`#/rules?line=${encodeURIComponent(line)}`}>
          <ArrowLeft size={18} aria-hidden="true" />
          {words.back}
        </a>
      }
    >
      <Shown from={loaded} height={400}>
        {() =>
          draft && (
            <>
              <Changes draft={draft} />
              <Shown from={images} height={400}>
                {() =>
                  pictured?.length ? (
                    <Pictures line={line} draft={draft} images={pictured} />
                  ) : (
                    <Empty title={words.noImages}>
                      <p>{words.noImagesHint}</p>
                    </Empty>
                  )
                }
              </Shown>
            </>
          )
        }
      </Shown>
    </Page>
  );
}

interface PicturesProps {
  line: string;
  draft: Draft;
  images: Inspection[];
}

function Pictures({ line, draft, images }: PicturesProps) {
  const [chosen, setChosen] = useState(images[0]?.id);
  const image = images.find(({ id }) => id === chosen) ?? images[0];
  if (!image) return null;
  return <OnPicture key={image.id} line={line} draft={draft} images={images} image={image} choose={setChosen} />;
}

interface OnPictureProps extends PicturesProps {
  image: Inspection;
  choose: (id: string) => void;
}

function OnPicture(props: OnPictureProps) {
  const picture = usePicture(props.image);
  if (!picture.size) return <Loading height={400} />;
  return <Editor {...props} picture={picture} size={picture.size} />;
}

function Editor({
  line,
  draft,
  images,
  image,
  choose,
  picture,
  size,
}: OnPictureProps & { picture: ReturnType<typeof usePicture>; size: Size }) {
  const { editing, zones } = useZoneEditing(line, draft, size);
  const [kind, setKind] = useState<Kind>("ignored");
  const [picking, setPicking] = useState(false);
  const { editor } = editing;
  const detections = useMemo(() => detectionsOf(images, draft.document, line), [images, draft.document, line]);
  const leftOut = useMemo(() => detections.map(({ box }) => isLeftOut(box, zones)), [detections, zones]);
  const preview = usePreview(draft.document, line);
  const readOnly = !can("reviewer");
  const count = (wanted: Kind) => editor.shapes.filter(({ label }) => label === wanted).length;
  const crossing = editor.shapes.some(({ form }) => form.kind === "polygon" && crossesItself(form.points));

  return (
    <div class="thresholds zones">
      <div class="stack">
        <div class="zones-picture">
          <PictureEditor
            editing={editing}
            picture={picture.source}
            preview={picture.preview}
            title={words.picture(image.serial)}
            labels={KINDS}
            newLabel={kind}
            draws="polygon"
            readOnly={readOnly}
            layers={layersOf(detections, leftOut, size)}
            name={nameOf}
            tone={toneOf}
            onAskLabel={() => setPicking(true)}
            onPictureError={picture.onError}
          />
        </div>
        <p class="muted small">{words.how}</p>
        <nav aria-label={words.pictures}>
          <ul class="zones-strip">
            {images.map((each) => (
              <li key={each.id}>
                <button
                  type="button"
                  aria-pressed={each.id === image.id}
                  aria-label={each.serial}
                  onClick={() => choose(each.id)}
                >
                  <Thumbnail id={each.id} link={each.links.thumbnail} />
                </button>
              </li>
            ))}
          </ul>
        </nav>
      </div>
      <aside class="thresholds-side stack">
        <Card title={words.zones}>
          <div class="stack tight">
            {!readOnly && (
              <Segments
                label={words.newKind}
                value={kind}
                options={KINDS.map((value) => ({ value, name: words.add[value] }))}
                onChange={setKind}
              />
            )}
            {editor.shapes.length ? (
              <ShapeList
                editing={editing}
                readOnly={readOnly}
                name={nameOf}
                tone={toneOf}
                note={() => ""}
                onAskLabel={() => setPicking(true)}
              />
            ) : (
              <p class="muted">{words.none}</p>
            )}
            {count("ignored") > 0 && count("region") === 0 && <p class="muted small">{words.everywhere}</p>}
            {crossing && <Notice kind="fail">{words.crosses}</Notice>}
            {KINDS.some((each) => count(each) > MOST_ZONES) && <Notice kind="fail">{words.most}</Notice>}
            <p class="muted small">
              {words.detections(leftOut.filter((out) => !out).length, leftOut.filter(Boolean).length)}
            </p>
          </div>
        </Card>
        {!crossing && (
          <Shown from={preview.loaded} height={300}>
            {(data) => <WhatIf preview={data} stale={preview.stale} />}
          </Shown>
        )}
      </aside>
      {picking && (
        <LabelPicker
          labels={KINDS}
          current={selectedShape(editor)?.label}
          name={nameOf}
          allowsNew={false}
          onDone={(label) => {
            setPicking(false);
            if (label) editing.send({ do: "relabel", label });
          }}
        />
      )}
    </div>
  );
}

/** The zones of the draft as shapes: what is drawn goes into the draft, and a draft that is dropped or renewed is shown. */
function useZoneEditing(line: string, draft: Draft, size: Size) {
  const zones = zonesOf(draft.document, line);
  const text = JSON.stringify(zones);
  const written = useRef(text);
  const [first] = useState(() => shapesOf(zones, size));
  const editing = useEditing(size, first, nameOf);
  const { editor, send } = editing;
  const originals = useRef(originalsOf(zones, editor.shapes));
  const latest = useRef(draft);
  latest.current = draft;

  useEffect(() => {
    if (editor.past.length === 0 && editor.future.length === 0) return;
    const drawn = zonesFrom(editor.shapes, size, originals.current);
    if (JSON.stringify(drawn) === written.current) return;
    written.current = JSON.stringify(drawn);
    latest.current.change(withZones(latest.current.document, line, drawn));
  }, [editor, size, line]);

  useEffect(() => {
    if (text === written.current) return;
    written.current = text;
    const now = JSON.parse(text) as typeof zones;
    const shapes = shapesOf(now, size);
    send({ do: "load", size, shapes });
    originals.current = originalsOf(now, start(size, shapes).shapes);
  }, [text, size, send]);

  return { editing, zones };
}

/** The detections that would count without zones; weaker ones count nowhere. */
const detectionsOf = (images: readonly Inspection[], document: RulesDocument, line: string) =>
  images.flatMap(({ detections, image_width: width, image_height: height }) =>
    width && height
      ? detections
          .filter(({ label, score }) => score >= ruleOf(document, line, label).review_score)
          .map((detection) => ({ label: detection.label, box: shareBox(detection, { width, height }) }))
      : [],
  );

function layersOf(detections: ReturnType<typeof detectionsOf>, leftOut: readonly boolean[], size: Size): Layer[] {
  const layer = (id: string, title: string, tone: string, wanted: boolean): Layer => ({
    id,
    title,
    tone,
    shapes: detections
      .filter((_, index) => leftOut[index] === wanted)
      .map(({ label, box: [x1, y1, x2, y2] }) => ({
        label,
        form: { kind: "box", box: [x1 * size.width, y1 * size.height, x2 * size.width, y2 * size.height] },
      })),
  });
  return [layer("counts", words.counts, "tone-defect", false), layer("left-out", words.leftOut, "tone-allowed", true)];
}
