import { CalendarClock } from "lucide-preact";
import { useState } from "preact/hooks";
import { beginning, localInput, type Range, rangeName } from "../logic/range";
import { texts } from "../texts";
import { Button } from "./button";
import { Drop } from "./drop";
import { Field } from "./fields";
import { Notice } from "./states";

/** The period of a page: usual lengths, or two ends of one's own. */
export function RangePicker({
  range,
  presets,
  onChange,
}: {
  range: Range;
  presets: string[];
  onChange: (range: Range) => void;
}) {
  return (
    <Drop name={rangeName(range)} icon={CalendarClock}>
      {(close) => (
        <div class="stack tight">
          <div>
            {presets.map((preset) => (
              <button
                key={preset}
                type="button"
                class="menu-item"
                aria-pressed={range.since === preset && !range.until}
                onClick={() => {
                  onChange({ since: preset, until: "" });
                  close();
                }}
              >
                {texts.ranges.presets[preset]}
              </button>
            ))}
          </div>
          <OwnPeriod
            range={range}
            onChange={(own) => {
              onChange(own);
              close();
            }}
          />
        </div>
      )}
    </Drop>
  );
}

function OwnPeriod({ range, onChange }: { range: Range; onChange: (range: Range) => void }) {
  const [since, setSince] = useState(localInput(beginning(range.since) ?? new Date()));
  const [until, setUntil] = useState(range.until ? localInput(new Date(range.until)) : "");
  const backwards = until !== "" && until <= since;
  return (
    <form
      class="stack tight"
      onSubmit={(event) => {
        event.preventDefault();
        onChange({ since: new Date(since).toISOString(), until: until && new Date(until).toISOString() });
      }}
    >
      <Field name={texts.ranges.since}>
        <input
          class="input"
          type="datetime-local"
          required
          value={since}
          onInput={(event) => setSince(event.currentTarget.value)}
        />
      </Field>
      <Field name={texts.ranges.until}>
        <input
          class="input"
          type="datetime-local"
          value={until}
          onInput={(event) => setUntil(event.currentTarget.value)}
        />
      </Field>
      {backwards && <Notice kind="fail">{texts.ranges.backwards}</Notice>}
      <Button type="submit" kind="primary" disabled={backwards || !since}>
        {texts.ranges.apply}
      </Button>
    </form>
  );
}
