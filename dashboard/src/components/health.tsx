import type { Health } from "../api/types";
import { ago, time } from "../logic/format";
import { texts } from "../texts";
import { Notice } from "./states";

/** What is wrong with the endpoint and which alarms are on; nothing if all is well. */
export function HealthNotices({ health }: { health: Health }) {
  const { endpoint, alarms, problems } = health;
  const on = alarms.filter((alarm) => alarm.state === "ALARM");
  return (
    <>
      {endpoint?.rests_until && <Notice>{texts.health.rests(time(endpoint.rests_until))}</Notice>}
      {endpoint?.status !== "InService" && !endpoint?.rests_until && (
        <Notice kind="fail">
          {endpoint && endpoint.status !== "Missing" ? texts.health.notServing(endpoint.status) : texts.health.noModel}
        </Notice>
      )}
      {problems.map((problem) => (
        <Notice key={problem} kind="review">
          {problem}
        </Notice>
      ))}
      {on.map((alarm) => (
        <Notice key={alarm.name} kind="review">
          <strong>{alarm.description || alarm.name}</strong>
          <div class="muted small" title={alarm.reason}>
            {texts.health.alarm} {alarm.name}, {ago(alarm.since)}
          </div>
        </Notice>
      ))}
    </>
  );
}
