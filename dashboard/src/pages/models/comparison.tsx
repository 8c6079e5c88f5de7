import { ArrowLeft } from "lucide-preact";
import { api, ask } from "../../api/client";
import type { Model, SeenPicture } from "../../api/paths.learning";
import { Card, Page } from "../../components/page";
import { Picture } from "../../components/picture";
import { Shown } from "../../components/states";
import { useLoad } from "../../hooks/load";
import type { DrawnBox } from "../../logic/boxes";
import { classPairs, figuresOf } from "./figures";
import { words } from "./words";

/** Weaker detections are noise to the eye. */
const LEAST_SCORE = 0.3;

/** Two models: figures, classes, and the same pictures. */
export function Comparison({ versions }: { versions: string }) {
  const compared = useLoad(() => ask(api.GET("/api/models/compare", { params: { query: { versions } } })), [versions]);
  const [one = 0, other = 0] = versions.split(",").map(Number);
  return (
    <Page
      title={words.comparing(one, other)}
      actions={
        <a class="button" href="#/models">
          <ArrowLeft size={18} aria-hidden="true" />
          {words.allModels}
        </a>
      }
    >
      <Shown from={compared} height={480}>
        {({ models, pictures }) => {
          const [first, second] = models;
          return (
            first &&
            second && (
              <>
                <div class="compare-columns">
                  <Figures first={first} second={second} />
                  <Classes first={first} second={second} />
                </div>
                <Pictures models={[first, second]} pictures={pictures} />
              </>
            )
          );
        }}
      </Shown>
    </Page>
  );
}

interface PairProps {
  first: Model;
  second: Model;
}

function Figures({ first, second }: PairProps) {
  return (
    <Card title={words.figures} flush>
      <div class="table-frame">
        <table class="table">
          <thead>
            <tr>
              <td />
              <th class="number">{words.version(first.version)}</th>
              <th class="number">{words.version(second.version)}</th>
            </tr>
          </thead>
          <tbody>
            {figuresOf(first, second).map(({ name, texts, better }) => (
              <tr key={name}>
                <th scope="row">{name}</th>
                {texts.map((text, index) => (
                  <td key={index} class="number">
                    {better === index ? <strong class="better">{text}</strong> : text}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Card>
  );
}

function Classes({ first, second }: PairProps) {
  const rows = classPairs(first, second);
  return (
    <Card title={words.perClass}>
      <ul class="legend small muted">
        {[first, second].map((model, index) => (
          <li key={model.version}>
            <span class={`swatch line-${index}`} />
            {words.version(model.version)} {model.family}
          </li>
        ))}
      </ul>
      {rows.length === 0 && <p class="muted">{words.perClassNone}</p>}
      <ul class="class-pairs">
        {rows.map(({ label, values, objects }) => (
          <li key={label}>
            <span class="clip" title={label}>
              {label}
              {objects !== null && <span class="muted small"> · {words.objects(objects)}</span>}
            </span>
            <div>
              {values.map((value, index) => (
                <div key={index} class="class-bar">
                  <span class="track" aria-hidden="true">
                    <span class={`line-${index}`} style={{ width: `${(value ?? 0) * 100}%` }} />
                  </span>
                  <span class="number">{value?.toFixed(3) ?? "–"}</span>
                </div>
              ))}
            </div>
          </li>
        ))}
      </ul>
    </Card>
  );
}

const boxesOf = (detections: SeenPicture["detections"][number]): DrawnBox[] =>
  detections
    .filter(({ score }) => score >= LEAST_SCORE)
    .map(({ label, score, box }) => ({ box, kind: "person", label: `${label} ${score.toFixed(2)}` }));

function Pictures({ models, pictures }: { models: Model[]; pictures: SeenPicture[] }) {
  return (
    <Card title={words.pictures}>
      {pictures.length === 0 && <p class="muted">{words.picturesNone}</p>}
      <ul class="seen-pictures">
        {pictures.map((picture) => (
          <li key={picture.link}>
            <p class="small muted">
              {picture.labels.length ? words.labels(picture.labels.join(", ")) : words.noLabels}
            </p>
            <div class="seen-pair">
              {models.map((model, index) => {
                const boxes = boxesOf(picture.detections[index] ?? []);
                return (
                  <figure key={model.version}>
                    <div class="seen-picture">
                      <Picture
                        link={picture.link}
                        alt={`${words.version(model.version)}: ${words.detections(boxes.length)}`}
                        boxes={boxes}
                      />
                    </div>
                    <figcaption class="small">
                      {words.version(model.version)}: {words.detections(boxes.length)}
                    </figcaption>
                  </figure>
                );
              })}
            </div>
          </li>
        ))}
      </ul>
    </Card>
  );
}
