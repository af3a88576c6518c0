//! Reads over time: a line for each recipient, by day, as SVG with a table of the same for who cannot see it.

use super::{escape, Report};
use std::fmt::Write;

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 56.0;
const BOTTOM: f64 = 28.0;
const TOP: f64 = 10.0;

/// Colours that are told apart with every kind of sight (Okabe and Ito), in turn.
const COLOURS: [&str; 7] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f"];

pub(super) fn reads(out: &mut String, report: &Report) {
    out.push_str("<h2 id=\"reads\">Reads by day</h2>\n");
    let mut days: Vec<&str> = report.days.iter().map(|d| d.day.as_str()).collect();
    days.sort_unstable();
    days.dedup();
    let most = report.days.iter().map(|d| d.reads).max().unwrap_or(0);
    if most == 0 {
        out.push_str("<p>Nothing was read.</p>\n");
        return;
    }
    let place: std::collections::HashMap<&str, usize> = days.iter().enumerate().map(|(i, d)| (*d, i)).collect();
    let step = (WIDTH - LEFT - 10.0) / (days.len().max(2) - 1) as f64;
    let x = |i: usize| LEFT + step * i as f64;
    let y = |reads: i64| TOP + (HEIGHT - TOP - BOTTOM) * (1.0 - reads as f64 / most as f64);
    let mut names: Vec<&str> = report.days.iter().map(|d| d.recipient.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let total: i64 = report.days.iter().map(|d| d.reads).sum();
    let (first, last) = (days.first().copied().unwrap_or_default(), days.last().copied().unwrap_or_default());
    let _ = writeln!(
        out,
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{total} reads from {} to {}\">",
        escape(first),
        escape(last)
    );
    for part in [0, 1] {
        let reads = most * part;
        let _ = writeln!(
            out,
            "<line x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{0:.1}\" y2=\"{0:.1}\" stroke=\"currentColor\" stroke-opacity=\".2\"/><text x=\"{1}\" y=\"{2:.1}\" text-anchor=\"end\">{reads}</text>",
            y(reads),
            LEFT - 8.0,
            y(reads) + 4.0
        );
    }
    let _ = writeln!(
        out,
        "<text x=\"{LEFT}\" y=\"{0}\">{1}</text><text x=\"{WIDTH}\" y=\"{0}\" text-anchor=\"end\">{2}</text>",
        HEIGHT - 6.0,
        escape(first),
        escape(last)
    );
    for (number, name) in names.iter().enumerate() {
        let mut reads = vec![0; days.len()];
        for day in report.days.iter().filter(|d| d.recipient == *name) {
            if let Some(place) = place.get(day.day.as_str()).and_then(|i| reads.get_mut(*i)) {
                *place += day.reads;
            }
        }
        let points: Vec<String> = reads.iter().enumerate().map(|(i, n)| format!("{:.1},{:.1}", x(i), y(*n))).collect();
        let colour = COLOURS[number % COLOURS.len()];
        let _ = writeln!(
            out,
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" points=\"{}\"><title>{}</title></polyline>",
            points.join(" "),
            escape(name)
        );
        if let [only] = points.as_slice() {
            let (cx, cy) = only.split_once(',').unwrap_or_default();
            let _ = writeln!(out, "<circle cx=\"{cx}\" cy=\"{cy}\" r=\"4\" fill=\"{colour}\"/>");
        }
    }
    out.push_str("</svg>\n<div class=\"key\">");
    for (number, name) in names.iter().enumerate() {
        let of = report.days.iter().filter(|d| d.recipient == *name);
        let (reads, rows) = of.fold((0, 0), |(reads, rows), d| (reads + d.reads, rows + d.rows));
        let _ = write!(
            out,
            "<span><i style=\"background:{}\"></i>{}: {reads} reads, {rows} rows</span>",
            COLOURS[number % COLOURS.len()],
            escape(name)
        );
    }
    out.push_str("</div>\n");
}
