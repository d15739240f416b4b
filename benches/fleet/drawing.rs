//! A curve as a picture: what was sent in each window, what of it was answered, and the limit.

use std::fmt::Write as _;

use super::simulation::Count;

const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 300.0;
/// Around the curve, for numbers.
const EDGE: f64 = 60.0;

/// An SVG of a curve. What is higher than eight times the limit is cut off: a cold start would hide all the rest.
pub fn svg(title: &str, curve: &[Count], limit: usize) -> String {
    let number = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    let highest = curve.iter().map(Count::sent).max().unwrap_or_default().clamp(limit, limit * 8);
    let width = WIDTH / number(curve.len().max(1));
    let height = |count: usize| HEIGHT * number(count.min(highest)) / number(highest);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n<text x=\"{EDGE}\" y=\"24\" font-size=\"15\">{title}</text>\n",
        WIDTH + 2.0 * EDGE,
        HEIGHT + 2.0 * EDGE,
    );
    for (window, count) in curve.iter().enumerate() {
        let x = EDGE + width * number(window);
        // Each hides the lower part of the one before.
        for (count, colour) in
            [(count.sent(), "#bbbbbb"), (count.answered + count.refused, "#e08070"), (count.answered, "#4080c0")]
        {
            let (high, y) = (height(count), EDGE + HEIGHT - height(count));
            writeln!(
                svg,
                "<rect x=\"{x:.2}\" y=\"{y:.2}\" width=\"{width:.2}\" height=\"{high:.2}\" fill=\"{colour}\"/>"
            )
            .expect("a text grows");
        }
    }
    let (left, right, ground) = (EDGE, EDGE + WIDTH, EDGE + HEIGHT);
    let mut label = |x: f64, y: f64, anchor: &str, text: String| {
        writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>").expect("a text grows");
    };
    for count in [limit, highest] {
        label(left - 6.0, ground - height(count) + 4.0, "end", count.to_string());
    }
    label(left, ground + 18.0, "start", "0 s".to_owned());
    label(right, ground + 18.0, "end", format!("{} s", curve.len() * 10));
    let words =
        "requests in 10 s: blue answered, red refused (429), grey while the vault is down; the line is the limit";
    label(left, ground + 40.0, "start", words.to_owned());
    let y = ground - height(limit);
    writeln!(svg, "<path d=\"M{left} {y:.1}H{right}\" stroke=\"black\" stroke-dasharray=\"4\"/>\n</svg>")
        .expect("a text grows");
    svg
}
