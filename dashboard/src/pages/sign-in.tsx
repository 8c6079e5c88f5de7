import { useSignalEffect } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { sentence } from "../api/errors";
import { enter, renew, sessionState, setPassword, signIn } from "../api/session";
import { Brand } from "../components/brand";
import { Button } from "../components/button";
import { Field } from "../components/fields";
import { Notice } from "../components/states";
import { navigate } from "../logic/location";
import { texts } from "../texts";

interface Challenge {
  username: string;
  session: string;
}

/** User name and password; whose password was set by somebody else then chooses a new one. */
export default function SignIn({ message }: { message?: string }) {
  const [challenge, setChallenge] = useState<Challenge | null>(null);
  return (
    <Frame title={challenge ? texts.session.newTitle : texts.session.title}>
      {challenge ? <NewPassword {...challenge} /> : <Credentials message={message} onChallenge={setChallenge} />}
    </Frame>
  );
}

function Frame({ title, children }: { title: string; children: ComponentChildren }) {
  useEffect(() => {
    document.title = title;
  }, [title]);
  return (
    <main class="sign-in">
      <div>
        <Brand />
        <div class="card stack">
          <h1>{title}</h1>
          {children}
        </div>
      </div>
    </main>
  );
}

/** Runs a request of a form, and keeps its state. */
function useRequest(): [busy: boolean, error: unknown, run: (request: () => Promise<void>) => void] {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(undefined);
  return [
    busy,
    error,
    (request) => {
      setBusy(true);
      setError(undefined);
      request()
        .catch(setError)
        .finally(() => setBusy(false));
    },
  ];
}

function Credentials({ message, onChallenge }: { message?: string; onChallenge: (challenge: Challenge) => void }) {
  const [username, setUsername] = useState("");
  const [password, setPasswordText] = useState("");
  const [busy, error, run] = useRequest();
  return (
    <form
      class="stack"
      onSubmit={(event) => {
        event.preventDefault();
        run(async () => {
          const answer = await signIn(username.trim(), password);
          if ("challenge" in answer) onChallenge({ username: username.trim(), session: answer.session });
        });
      }}
    >
      {message && error === undefined && <Notice>{message}</Notice>}
      {error !== undefined && <Notice kind="fail">{sentence(error)}</Notice>}
      <Field name={texts.session.user}>
        <input
          class="input"
          name="username"
          autocomplete="username"
          autocapitalize="none"
          spellcheck={false}
          required
          value={username}
          onInput={(event) => setUsername(event.currentTarget.value)}
        />
      </Field>
      <PasswordField
        name={texts.session.password}
        autocomplete="current-password"
        value={password}
        onInput={setPasswordText}
      />
      <Button type="submit" kind="primary" large busy={busy}>
        {texts.session.submit}
      </Button>
    </form>
  );
}

function PasswordField({
  name,
  autocomplete,
  value,
  onInput,
}: {
  name: string;
  autocomplete: "current-password" | "new-password";
  value: string;
  onInput: (value: string) => void;
}) {
  return (
    <Field name={name}>
      <input
        class="input"
        type="password"
        autocomplete={autocomplete}
        required
        value={value}
        onInput={(event) => onInput(event.currentTarget.value)}
      />
    </Field>
  );
}

function NewPassword({ username, session }: Challenge) {
  const [first, setFirst] = useState("");
  const [again, setAgain] = useState("");
  const [busy, error, run] = useRequest();
  const differ = again !== "" && first !== again;
  return (
    <form
      class="stack"
      onSubmit={(event) => {
        event.preventDefault();
        if (first === again) run(async () => void (await setPassword(username, session, first)));
      }}
    >
      <p class="muted">{texts.session.newHint}</p>
      {error !== undefined && <Notice kind="fail">{sentence(error)}</Notice>}
      {/* Password managers take the user's name from a field, also from one that nobody sees. */}
      <input hidden autocomplete="username" value={username} readOnly />
      <PasswordField name={texts.session.newPassword} autocomplete="new-password" value={first} onInput={setFirst} />
      <PasswordField name={texts.session.again} autocomplete="new-password" value={again} onInput={setAgain} />
      {differ && <Notice kind="fail">{texts.session.differ}</Notice>}
      <Button type="submit" kind="primary" large busy={busy} disabled={differ}>
        {texts.session.save}
      </Button>
    </form>
  );
}

/**
 * The address of a one-time code: signs in with it and goes to the first page. The code leaves the address at once.
 *
 * A code that is no good does not matter to who is signed in already.
 */
export function Enter({ code, onEnd }: { code: string; onEnd: () => void }) {
  const [failed, setFailed] = useState(false);
  useEffect(() => {
    navigate("/", { replace: true });
    enter(code)
      .then(() => true, renew)
      .then((signedIn) => (signedIn ? onEnd() : setFailed(true)));
  }, [code, onEnd]);
  useSignalEffect(() => {
    if (failed && sessionState.value === "in") onEnd();
  });
  if (failed) return <SignIn message={texts.session.codeFailed} />;
  return (
    <Frame title={texts.session.title}>
      <p role="status">{texts.session.entering}</p>
    </Frame>
  );
}
