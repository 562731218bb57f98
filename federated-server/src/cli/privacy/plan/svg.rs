use std::fmt;

use super::curve::Curve;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 360.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 48.0;
/// Marks on each axis, beside the one at 0.
const MARKS: u8 = 4;

/// What is spent by round, as an SVG picture that needs nothing else.
pub(super) struct Picture<'a> {
    /// The job's name, which has no characters that XML would take for its own.
    pub(super) job: &'a str,
    pub(super) curve: &'a Curve,
}

impl Picture<'_> {
    fn x(&self, round: f64) -> f64 {
        LEFT + (WIDTH - LEFT - RIGHT) * round / self.curve.last().max(1.0)
    }

    fn y(&self, epsilon: f64) -> f64 {
        HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * epsilon / (self.curve.most() * 1.1)
    }

    fn axes(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (left, right, low, high) = (LEFT, WIDTH - RIGHT, HEIGHT - BOTTOM, TOP);
        writeln!(f, r##"<path d="M{left} {high}V{low}H{right}" fill="none" stroke="#444"/>"##)?;
        for mark in 0..=MARKS {
            let part = f64::from(mark) / f64::from(MARKS);
            let (round, epsilon) = ((self.curve.last() * part).round(), self.curve.most() * part);
            let (x, y) = (self.x(round), self.y(epsilon));
            writeln!(f, r#"<text x="{x:.1}" y="{}" text-anchor="middle">{round:.0}</text>"#, low + 18.0)?;
            writeln!(
                f,
                r#"<text x="{}" y="{:.1}" text-anchor="end">{epsilon:.2}</text>"#,
                left - 8.0,
                y + 4.0
            )?;
            writeln!(f, r##"<path d="M{left} {y:.1}H{right}" stroke="#ddd" stroke-width="0.5"/>"##)?;
        }
        let (middle, foot) = (f64::midpoint(left, right), HEIGHT - 8.0);
        writeln!(f, r#"<text x="{middle}" y="{foot}" text-anchor="middle">rounds</text>"#)
    }
}

impl fmt::Display for Picture<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (job, limit) = (self.job, self.curve.limit);
        writeln!(
            f,
            r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12" fill="#222">"##
        )?;
        writeln!(f, r##"<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>"##)?;
        writeln!(
            f,
            r#"<text x="{LEFT}" y="24" font-size="14">{job}: epsilon spent by round, of {limit}</text>"#
        )?;
        self.axes(f)?;
        let (end, level) = (WIDTH - RIGHT, self.y(limit));
        writeln!(
            f,
            r##"<path d="M{LEFT} {level:.1}H{end}" stroke="#b00" stroke-width="1.5" stroke-dasharray="6 4"/>"##
        )?;
        let points = self.curve.points.iter();
        let points: Vec<String> =
            points.map(|(round, spent)| format!("{:.1},{:.1}", self.x(*round), self.y(*spent))).collect();
        let points = points.join(" ");
        writeln!(f, r##"<polyline points="{points}" fill="none" stroke="#06c" stroke-width="2"/>"##)?;
        writeln!(f, "</svg>")
    }
}
