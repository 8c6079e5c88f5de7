import "./thresholds.css";
import { Shapes } from "lucide-preact";
import { useState } from "preact/hooks";
import { api, ask } from "../../api/client";
import type { Proposal, RulesDocument } from "../../api/paths.rules";
import { can } from "../../api/session";
import { Select } from "../../components/fields";
import { Page } from "../../components/page";
import { Empty, Notice, Shown } from "../../components/states";
import { useLoad } from "../../hooks/load";
import { useFilters } from "../../logic/filters";
import { Changes } from "./changes";
import { ClassCard } from "./class-card";
import { type Draft, useDraft } from "./draft";
import { History } from "./history";
import { LAST, usePreview } from "./previewed";
import { ProposalCard, Propose } from "./proposal";
import { WhatIf } from "./what-if";
import { words } from "./words";

const FILTERS = { line: "" };

/** The scores that decide, over what people have decided; what others would do; and who changed them. */
export default function Thresholds() {
  const [{ line }, filter] = useFilters(FILTERS);
  const { loaded, draft } = useDraft();
  const [proposal, setProposal] = useState<Proposal | null>(null);
  const places = useLoad(() => ask(api.GET("/api/places")), []);
  const lines = [
    ...new Set([...(places.data?.items ?? []).map((place) => place.line), ...Object.keys(draft?.document.lines ?? {})]),
  ].sort();

  return (
    <Page title={words.title} hint={words.hint}>
      <div class="filters">
        <Select
          label={words.line}
          all={words.allLines}
          value={line}
          options={lines.map((value) => ({ value, name: value }))}
          onChange={(value) => filter({ line: value })}
        />
        {lines.length > 0 && (
          <a class="button" href={`#/rules/zones/${encodeURIComponent(line || lines[0] || "")}`}>
            <Shapes size={18} aria-hidden="true" />
            {words.zones(line || lines[0] || "")}
          </a>
        )}
        {can("reviewer") && draft && (
          <Propose
            line={line}
            last={LAST}
            onProposal={(made) => {
              setProposal(made);
              draft.change({ ...made.document, version: draft.document.version });
            }}
          />
        )}
        {draft && (
          <span class="muted">{words.number(draft.base.version ?? words.history.unknown, draft.base.number)}</span>
        )}
      </div>
      <Shown from={loaded} height={480}>
        {() =>
          draft && <Editing draft={draft} line={line} proposal={proposal} closeProposal={() => setProposal(null)} />
        }
      </Shown>
    </Page>
  );
}

interface EditingProps {
  draft: Draft;
  line: string;
  proposal: Proposal | null;
  closeProposal: () => void;
}

function Editing({ draft, line, proposal, closeProposal }: EditingProps) {
  const { base } = draft;
  return (
    <>
      {base.notes.map((note) => (
        <Notice key={note} kind="review">
          {note}
        </Notice>
      ))}
      {base.document ? (
        <>
          {line && <Notice>{words.ofLine(line)}</Notice>}
          <Changes draft={draft} />
          {proposal && draft.changes.length > 0 && <ProposalCard proposal={proposal} onClose={closeProposal} />}
          <Classes draft={draft} inForce={base.document} line={line} />
        </>
      ) : (
        <Notice kind="fail">{words.invalid}</Notice>
      )}
      <History draft={draft} />
    </>
  );
}

function Classes({ draft, inForce, line }: { draft: Draft; inForce: RulesDocument; line: string }) {
  const { document, change } = draft;
  const preview = usePreview(document, line);
  const seen = preview.loaded.data?.by_label ?? {};
  const labels = [...new Set([...Object.keys(seen), ...Object.keys(document.classes ?? {})])].sort();
  return (
    <div class="thresholds">
      <div class="stack">
        {labels.length > 0 && <Legend />}
        {labels.length === 0 && !preview.stale && (
          <Empty title={words.whatIf.noImages}>
            <p>{words.noClasses}</p>
          </Empty>
        )}
        {labels.map((label) => (
          <ClassCard
            key={label}
            label={label}
            line={line}
            document={document}
            inForce={inForce}
            preview={preview.loaded.data}
            change={change}
          />
        ))}
      </div>
      <aside class="thresholds-side">
        <Shown from={preview.loaded} height={420}>
          {(data) => <WhatIf preview={data} stale={preview.stale} />}
        </Shown>
      </aside>
    </div>
  );
}

function Legend() {
  return (
    <ul class="legend small muted">
      {(["rejected", "undecided", "accepted"] as const).map((kind) => (
        <li key={kind}>
          <span class={`swatch bar-${kind}`} />
          {words.legend[kind]}
        </li>
      ))}
    </ul>
  );
}
