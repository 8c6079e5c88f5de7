import { useEffect, useState } from "preact/hooks";
import type { PageComponent, PageRoute } from "../routes";
import { Failed, Loading } from "./states";

const loaded = new Map<string, PageComponent>();

/** A page whose file is loaded when it is first opened. */
export function LazyPage({ route, params }: { route: PageRoute; params: Record<string, string> }) {
  const [, setReady] = useState(0);
  const [error, setError] = useState<unknown>(undefined);
  const [turn, setTurn] = useState(0);
  const Page = loaded.get(route.path);
  // `turn` asks for another attempt.
  useEffect(() => {
    if (loaded.has(route.path)) return;
    setError(undefined);
    route.load().then(
      (module) => {
        loaded.set(route.path, module.default);
        setReady((n) => n + 1);
      },
      (failure: unknown) => setError(failure),
    );
  }, [route, turn]);
  if (Page) return <Page params={params} />;
  return (
    <div class="page">
      {error === undefined ? <Loading height={320} /> : <Failed error={error} retry={() => setTurn(turn + 1)} />}
    </div>
  );
}
