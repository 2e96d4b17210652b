/** Plot keeps the graph of one value in the markup that the server rendered. It is loaded beside the rest: all graphs that there are at first are drawn already. */
import { draw } from "../graph";
import { Series } from "../series";
import { find, put } from "./find";

/** Plot draws into the svg of one card, and says which way the value goes. */
export class Plot {
  private readonly series = new Series();

  constructor(private readonly card: HTMLElement) {
    this.series.read(find<SVGSVGElement>(card, "[data-graph]").dataset);
  }

  add(at: number, value: number): void {
    this.series.add(at, value);
  }

  draw(now: number, usual: number, label: string, number: (n: number) => string): void {
    const graph = find<SVGSVGElement>(this.card, "[data-graph]");
    const drawing = draw(this.series, now, usual);
    graph.toggleAttribute("hidden", !drawing);
    const trend = find(this.card, "[data-trend]");
    trend.dataset.trend = drawing?.direction ?? "";
    put(find(trend, "[data-trend-word]"), drawing?.direction ?? "");
    if (!drawing) return;
    for (const part of ["line", "band", "end"] as const) {
      find<SVGPathElement>(graph, `[data-${part}]`).setAttribute("d", drawing[part]);
    }
    const means = this.series.means.filter((m) => m !== null);
    graph.setAttribute(
      "aria-label",
      words(label, this.series.span, number(Math.min(...means)), number(Math.max(...means))),
    );
  }
}

function words(label: string, span: number, low: string, high: string): string {
  const hours = Math.round(span / 3_600_000);
  const last = hours === 24 ? "day" : hours === 1 ? "hour" : hours === 0 ? "minutes" : `${hours} hours`;
  return `${label} over the last ${last}: from ${low} to ${high}`;
}
