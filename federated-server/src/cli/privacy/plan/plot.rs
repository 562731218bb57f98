use std::fmt;

use super::curve::Curve;

const WIDTH: usize = 60;
const HEIGHT: usize = 12;

/// What is spent by round, in characters that every terminal has.
pub(super) struct Plot<'a>(pub(super) &'a Curve);

impl fmt::Display for Plot<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let curve = self.0;
        let (most, last) = (curve.most(), curve.last());
        writeln!(f, "epsilon spent by round (*) and the limit (-)")?;
        for row in (0..=HEIGHT).rev() {
            let value = most * row as f64 / HEIGHT as f64;
            if row % 3 == 0 {
                write!(f, "{value:>9.3} |")?
            } else {
                write!(f, "          |")?
            }
            let cells: String = (0..=WIDTH).map(|column| cell(curve, row, column)).collect();
            writeln!(f, "{}", cells.trim_end())?;
        }
        writeln!(f, "          +{}", "-".repeat(WIDTH + 1))?;
        let (middle, last) = (format!("{:.0}", last / 2.0), format!("{last:.0} rounds"));
        writeln!(f, "           0{middle:>half$}{last:>rest$}", half = WIDTH / 2, rest = WIDTH / 2 + 1)
    }
}

fn cell(curve: &Curve, row: usize, column: usize) -> char {
    let rows = |value: f64| (value / curve.most() * HEIGHT as f64).round();
    let place = row as f64;
    let spent = curve.at(curve.last() * column as f64 / WIDTH as f64);
    if spent.is_some_and(|spent| (rows(spent) - place).abs() < 0.5) {
        '*'
    } else if (rows(curve.limit) - place).abs() < 0.5 {
        '-'
    } else {
        ' '
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_curve_begins_at_nothing_and_meets_the_limit_at_the_last_round() {
        let curve = Curve { points: vec![(0.0, 0.0), (5.0, 3.0), (10.0, 4.0)], limit: 4.0, rounds: 10.0 };
        let plot = Plot(&curve).to_string();
        let lines: Vec<&str> = plot.lines().collect();
        assert!(lines[1].starts_with("    4.000 |-") && lines[1].ends_with('*'), "{plot}");
        assert!(lines[1 + HEIGHT].starts_with("    0.000 |*"), "{plot}");
        assert!(lines[1 + HEIGHT + 2].ends_with("10 rounds"), "{plot}");
        assert!(lines.iter().all(|line| line.len() <= 80), "{plot}");
    }
}
