import type { ComponentChildren } from "preact";
import type { Inspection } from "../../api/types";
import { Card } from "../../components/page";
import { secondModel } from "../../logic/anomaly";
import { bytes, dateTime } from "../../logic/format";
import { texts } from "../../texts";

const words = texts.inspection;

/** Everything else that the record tells. */
export function Facts({ inspection }: { inspection: Inspection }) {
  const { image_width: width, image_height: height, image_bytes: size, image_format: format } = inspection;
  const picture = [
    format,
    width && height ? `${width} × ${height}` : null,
    typeof size === "number" ? bytes(size) : null,
  ].filter(Boolean);
  const second = secondModel(inspection);
  const facts: [string, ComponentChildren][] = [
    [words.captured, dateTime(inspection.captured_at)],
    [words.received, dateTime(inspection.received_at)],
    [words.inspected, dateTime(inspection.inspected_at)],
    [words.judgement, inspection.replay && words.judgementNumber(inspection.replay.number)],
    [words.image, picture.join(", ")],
    [words.model, inspection.model && `${inspection.model.name} ${inspection.model.version}`],
    [words.anomalyModel, second && `${second.name} ${second.version}`],
    [words.rules, inspection.rules_version],
    [words.object, <span class="mono">{inspection.image}</span>],
    [words.version, <span class="mono">{inspection.version_id}</span>],
    [words.id, <span class="mono">{inspection.id}</span>],
  ];
  return (
    <Card title={words.facts}>
      <dl class="facts">
        {facts.map(
          ([name, value]) =>
            value && (
              <>
                <dt>{name}</dt>
                <dd>{value}</dd>
              </>
            ),
        )}
      </dl>
      <Measures name={words.quality} values={inspection.quality} names={words.qualities} />
      <Measures name={words.timings} values={inspection.timings_ms} names={words.timingNames} unit="ms" />
    </Card>
  );
}

function Measures({
  name,
  values,
  names,
  unit,
}: {
  name: string;
  values?: Record<string, number> | null;
  names: Record<string, string>;
  unit?: string;
}) {
  const entries = Object.entries(values ?? {});
  if (entries.length === 0) return null;
  return (
    <details class="measures">
      <summary>{name}</summary>
      <dl class="facts">
        {entries.map(([key, value]) => (
          <>
            <dt>{names[key] ?? key}</dt>
            <dd>
              {Number(value.toPrecision(3))} {unit}
            </dd>
          </>
        ))}
      </dl>
    </details>
  );
}
