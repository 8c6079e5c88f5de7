import { api, ask } from "../../api/client";
import type { Inspection } from "../../api/types";
import { Card } from "../../components/page";
import { Shown } from "../../components/states";
import { useLoad } from "../../hooks/load";
import { texts } from "../../texts";
import { Gallery } from "../inspections/gallery";

/** The other pictures of the same product, from all lines and stations. */
export function SameSerial({ inspection }: { inspection: Inspection }) {
  const { id, serial } = inspection;
  const found = useLoad(() => ask(api.GET("/api/serials/{serial}", { params: { path: { serial } } })), [serial]);
  return (
    <Card title={texts.inspection.sameSerial(serial)}>
      <Shown from={found} height={120}>
        {({ items }) => {
          const others = items.filter((other) => other.id !== id);
          return others.length > 0 ? <Gallery items={others} /> : <p class="muted">{texts.inspection.onlyPicture}</p>;
        }}
      </Shown>
    </Card>
  );
}
