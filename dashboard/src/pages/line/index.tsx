import { ArrowLeft, Maximize, OctagonPause, Volume2, VolumeX } from "lucide-preact";
import { useEffect, useState } from "preact/hooks";
import { api, ask } from "../../api/client";
import type { Inspection } from "../../api/types";
import { Button } from "../../components/button";
import { Segments, Select } from "../../components/fields";
import { HealthNotices } from "../../components/health";
import { HeatMapButton, useHeatMapKey } from "../../components/heat-map";
import { Failed, Notice } from "../../components/states";
import { useLoad } from "../../hooks/load";
import { useNow } from "../../hooks/now";
import { heatMapOf } from "../../logic/anomaly";
import { useFilters } from "../../logic/filters";
import { ago } from "../../logic/format";
import { SHIFT_HOURS } from "../../logic/shift";
import { stored } from "../../logic/stored";
import { texts } from "../../texts";
import { Call } from "./call";
import { useLive, withPicture } from "./live";
import { Shift } from "./shift";
import { beep, sound, switchSound } from "./sound";
import { Strip } from "./strip";

const DEFAULTS = { station: "", shift: "" };
const QUIET_MS = 5 * 60_000;
const hold = stored("hold", ["off", "on"]);

/** One line for a tablet beside it: large enough to be read from two metres. */
export default function Line({ params }: { params: Record<string, string> }) {
  const line = params.line ?? "";
  const [{ station, shift }, change] = useFilters(DEFAULTS);
  const [chosen, choose] = useState<string | null>(null);
  const live = useLive(line, station, shift, (bad) => {
    if (sound.value === "on") beep();
    if (hold.value === "on") choose((held) => held ?? bad.id);
  });
  const places = useLoad(() => ask(api.GET("/api/places")), []);
  const health = useLoad(() => ask(api.GET("/api/health")), [], 15_000);
  const id = chosen ?? live.newest?.id;
  const shown = useLoad(async () => (id ? await withPicture(id) : null), [id]);
  const heatMap = Boolean(shown.data && heatMapOf(shown.data));
  useHeatMapKey(heatMap);

  useEffect(() => {
    document.title = `${line} · ${texts.product}`;
  }, [line]);

  const acknowledged = (inspection: Inspection): void => {
    shown.set(inspection);
    live.failed.reload();
    choose(null);
  };
  const stations = places.data?.items.filter((place) => place.line === line).map((place) => place.station) ?? [];
  return (
    <div class="line-page">
      <header class="line-head">
        <a class="button quiet icon" href="#/" aria-label={texts.lines.title} title={texts.lines.title}>
          <ArrowLeft size={20} />
        </a>
        <h1 class="clip">{line}</h1>
        {stations.length > 1 && (
          <Segments
            label={texts.lines.station}
            value={station}
            options={[{ value: "", name: texts.common.all }, ...stations.sort().map((name) => ({ value: name, name }))]}
            onChange={(value) => change({ station: value })}
          />
        )}
        <span class="grow" />
        <Select
          label={texts.line.shift}
          value={shift}
          all={texts.line.lastHours}
          options={SHIFT_HOURS.map((hour) => ({ value: hour, name: texts.line.since(hour) }))}
          onChange={(value) => change({ shift: value })}
        />
        <Tools heatMap={heatMap} />
      </header>
      {!live.connected && <Notice kind="fail">{texts.lines.disconnected}</Notice>}
      {health.data && <HealthNotices health={health.data} />}
      {live.newest && live.connected && <Quiet since={live.newest.inspected_at} />}
      {shown.error !== undefined && <Failed error={shown.error} retry={shown.reload} />}
      <div class="line-board">
        <Call
          inspection={shown.data ?? null}
          waiting={live.newest === null}
          stale={!live.connected || (shown.error !== undefined && shown.data?.id !== id)}
          held={chosen !== null}
          onLive={() => choose(null)}
          onAcknowledged={acknowledged}
        />
        <Shift counts={live.counts} />
        <Strip failed={live.failed} chosen={chosen} onChoose={choose} />
      </div>
    </div>
  );
}

function Tools({ heatMap }: { heatMap: boolean }) {
  const holding = hold.value === "on";
  const loud = sound.value === "on";
  return (
    <>
      {heatMap && <HeatMapButton />}
      <Button
        class={holding ? "set" : ""}
        icon={OctagonPause}
        aria-pressed={holding}
        aria-label={texts.line.hold}
        onClick={() => {
          hold.value = holding ? "off" : "on";
        }}
      />
      <Button
        class={loud ? "set" : ""}
        icon={loud ? Volume2 : VolumeX}
        aria-pressed={loud}
        aria-label={texts.line.sound}
        onClick={switchSound}
      />
      {document.fullscreenEnabled && (
        <Button
          class="line-full"
          icon={Maximize}
          aria-label={texts.line.full}
          onClick={() =>
            void (document.fullscreenElement ? document.exitFullscreen() : document.documentElement.requestFullscreen())
          }
        />
      )}
    </>
  );
}

/** Says that a line has been silent, so that an old verdict is not taken for the present one. */
function Quiet({ since }: { since: string }) {
  const now = useNow();
  if (now - Date.parse(since) < QUIET_MS) return null;
  return <Notice kind="review">{texts.line.quiet(ago(since, now))}</Notice>;
}
