import { Check, X } from "lucide-preact";
import { useState } from "preact/hooks";
import { api, ask } from "../../api/client";
import { ownOrigin } from "../../api/links";
import type { Run } from "../../api/paths.learning";
import { can } from "../../api/session";
import { Button } from "../../components/button";
import { Field } from "../../components/fields";
import { Card } from "../../components/page";
import { Notice } from "../../components/states";
import { toast } from "../../components/toasts";
import { Problems } from "../thresholds/changes";
import { words } from "./words";

/** The question that a run asks, and its answer. */
export function Approval({ run, onAnswer }: { run: Run; onAnswer: () => void }) {
  const [comment, setComment] = useState("");
  const [busy, setBusy] = useState<"approve" | "reject" | null>(null);
  const [error, setError] = useState<unknown>(undefined);
  const evaluation = ownOrigin(run.evaluation);

  async function answer(approve: boolean) {
    setBusy(approve ? "approve" : "reject");
    setError(undefined);
    const text = comment.trim();
    try {
      const params = { path: { name: run.name } };
      await ask(api.POST("/api/runs/{name}/approval", { params, body: { approve, ...(text && { comment: text }) } }));
      toast(approve ? words.approval.approved : words.approval.rejected);
      onAnswer();
    } catch (failure) {
      setError(failure);
      setBusy(null);
    }
  }

  return (
    <Card title={words.approval.title} class="approval">
      <div class="stack tight">
        <p>{words.approval.text}</p>
        {evaluation && (
          <p>
            <a href={evaluation} target="_blank" rel="noreferrer">
              {words.evaluation}
            </a>
          </p>
        )}
        {error !== undefined && <Problems error={error} />}
        {can("admin") ? (
          <>
            <Field name={words.approval.comment}>
              <textarea
                class="input"
                maxLength={1000}
                value={comment}
                onInput={(event) => setComment(event.currentTarget.value)}
              />
            </Field>
            <div class="row wrap">
              <Button
                kind="primary"
                icon={Check}
                busy={busy === "approve"}
                disabled={busy !== null}
                onClick={() => answer(true)}
              >
                {words.approval.approve}
              </Button>
              <Button icon={X} busy={busy === "reject"} disabled={busy !== null} onClick={() => answer(false)}>
                {words.approval.reject}
              </Button>
            </div>
          </>
        ) : (
          <Notice>{words.approval.adminsOnly}</Notice>
        )}
      </div>
    </Card>
  );
}
