import { Play } from "lucide-preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { api, ask } from "../../api/client";
import { ApiError } from "../../api/errors";
import type { StartRun } from "../../api/paths.learning";
import { Button } from "../../components/button";
import { Field, Select } from "../../components/fields";
import { toast } from "../../components/toasts";
import { useLoad } from "../../hooks/load";
import { navigate } from "../../logic/location";
import { texts } from "../../texts";
import { Problems } from "../thresholds/changes";
import { ANOMALY_MODELS, DETECTORS, requestOf, trainsBoth, trainsDetectors } from "./families";
import { words } from "./words";

const MOST_EPOCHS = 10_000;

export function StartButton() {
  const [open, setOpen] = useState(false);
  return (
    <>
      <Button kind="primary" icon={Play} onClick={() => setOpen(true)}>
        {words.start.button}
      </Button>
      {open && <StartDialog onClose={() => setOpen(false)} />}
    </>
  );
}

function StartDialog({ onClose }: { onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [wanted, setWanted] = useState<StartRun>({});
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(undefined);
  const sets = useLoad(async () => (await ask(api.GET("/api/datasets"))).items, []);
  useLayoutEffect(() => dialog.current?.showModal(), []);

  function toggle(family: string) {
    const chosen = wanted.families ?? [];
    setWanted({
      ...wanted,
      families: chosen.includes(family) ? chosen.filter((each) => each !== family) : [...chosen, family],
    });
  }

  async function submit() {
    setBusy(true);
    setError(undefined);
    try {
      const { name } = await ask(api.POST("/api/runs", { body: requestOf(wanted) }));
      toast(words.start.done);
      navigate(`/runs/${encodeURIComponent(name)}`);
    } catch (failure) {
      setError(failure);
      setBusy(false);
    }
  }

  const choice = { chosen: wanted.families ?? [], toggle };
  const detectors = trainsDetectors(wanted);
  const running = error instanceof ApiError && error.code === "already_running" ? error.details[0] : undefined;
  return (
    <dialog ref={dialog} class="dialog" aria-labelledby="start-title" onClose={onClose}>
      <form
        class="stack"
        onSubmit={(event) => {
          event.preventDefault();
          void submit();
        }}
      >
        <h2 id="start-title">{words.start.title}</h2>
        <p class="muted">{words.start.hint}</p>
        <Families {...choice} name={words.start.families} hint={words.start.familiesHint} families={DETECTORS} />
        <Families
          {...choice}
          name={words.start.anomalyFamilies}
          hint={words.start.anomalyHint}
          families={ANOMALY_MODELS}
        />
        <div class="row">
          {detectors && (
            <Field name={trainsBoth(wanted) ? words.start.detectorEpochs : words.start.epochs}>
              <input
                class="input"
                type="number"
                min={1}
                max={MOST_EPOCHS}
                value={wanted.epochs ?? ""}
                onInput={(event) => {
                  const { epochs: _before, ...others } = wanted;
                  const typed = event.currentTarget.valueAsNumber;
                  setWanted(Number.isFinite(typed) ? { ...others, epochs: typed } : others);
                }}
              />
            </Field>
          )}
          <Field name={words.start.dataset}>
            <Select
              label={words.start.dataset}
              all={words.start.ofStack}
              value={wanted.dataset ?? ""}
              options={(sets.data ?? []).map(({ name }) => ({ value: name, name }))}
              onChange={(dataset) => {
                const { dataset: _before, ...others } = wanted;
                setWanted(dataset ? { ...others, dataset } : others);
              }}
            />
          </Field>
        </div>
        {detectors ? (
          <label class="check">
            <input
              type="checkbox"
              checked={wanted.tune ?? false}
              onChange={() => setWanted({ ...wanted, tune: !wanted.tune })}
            />
            {words.start.tune}
          </label>
        ) : (
          <small class="muted">{words.start.onlyAnomaly}</small>
        )}
        <label class="check">
          <input
            type="checkbox"
            checked={wanted.force ?? false}
            onChange={() => setWanted({ ...wanted, force: !wanted.force })}
          />
          {words.start.force}
        </label>
        {error !== undefined && <Problems error={error} />}
        {typeof running === "string" && <a href={`#/runs/${encodeURIComponent(running)}`}>{words.start.follow}</a>}
        <div class="row apart">
          <Button onClick={onClose}>{texts.common.cancel}</Button>
          <Button kind="primary" type="submit" busy={busy}>
            {words.start.submit}
          </Button>
        </div>
      </form>
    </dialog>
  );
}

interface FamiliesProps {
  name: string;
  hint: string;
  families: readonly string[];
  chosen: readonly string[];
  toggle: (family: string) => void;
}

function Families({ name, hint, families, chosen, toggle }: FamiliesProps) {
  return (
    <fieldset class="field">
      <legend>{name}</legend>
      <div class="families">
        {families.map((family) => (
          <label key={family} class="check">
            <input type="checkbox" checked={chosen.includes(family)} onChange={() => toggle(family)} />
            {family}
          </label>
        ))}
      </div>
      <small class="muted">{hint}</small>
    </fieldset>
  );
}
