import { Lock } from "lucide-preact";
import type { ComponentChildren } from "preact";
import { useEffect, useErrorBoundary } from "preact/hooks";
import { Route, Router, Switch } from "wouter-preact";
import { can, expired, rank, sessionState } from "./api/session";
import { Button } from "./components/button";
import { LazyPage } from "./components/lazy";
import { Page } from "./components/page";
import { Shell } from "./components/shell";
import { Empty, Notice } from "./components/states";
import { decoded, path, useHashPath, useHashQuery } from "./logic/location";
import SignIn from "./pages/sign-in";
import { routes } from "./routes";
import { texts } from "./texts";

export function App() {
  if (sessionState.value === "unknown") return null;
  if (sessionState.value === "out") return <SignIn message={expired.value ? texts.session.ended : undefined} />;
  if (rank.value < 0) {
    return (
      <Shell>
        <Empty title={texts.session.forbiddenTitle} icon={Lock}>
          <p>{texts.session.forbidden}</p>
        </Empty>
      </Shell>
    );
  }
  return (
    <Router hook={useHashPath} searchHook={useHashQuery}>
      <Shell>
        <Guard>
          <Switch>
            {routes
              .filter((route) => can(route.group))
              .map((route) => (
                <Route key={route.path} path={route.path}>
                  {(params) => (
                    <LazyPage
                      key={route.stays ? route.path : path.value}
                      route={route}
                      params={decoded(params as Record<string, string>)}
                    />
                  )}
                </Route>
              ))}
            <Route>
              <Page title={texts.session.notFoundTitle}>
                <p>{texts.session.notFound}</p>
                <p>
                  <a class="button" href="#/">
                    {texts.session.home}
                  </a>
                </p>
              </Page>
            </Route>
          </Switch>
        </Guard>
      </Shell>
    </Router>
  );
}

/** Keeps a page's fault on that page: the navigation goes on working. */
function Guard({ children }: { children: ComponentChildren }) {
  const [error, reset] = useErrorBoundary();
  const place = path.value;
  // Another page is given its own chance.
  useEffect(reset, [place]);
  if (error === undefined) return <>{children}</>;
  return (
    <div class="page">
      <Notice kind="fail" action={<Button onClick={() => window.location.reload()}>{texts.errors.reload}</Button>}>
        <p>{texts.errors.crashed}</p>
        <p class="mono">{String(error)}</p>
      </Notice>
    </div>
  );
}
