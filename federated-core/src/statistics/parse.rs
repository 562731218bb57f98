//! Questions as text: a line for each column.

use std::{fmt, str::FromStr};

use super::{Bounds, Question, Questions, StatisticsError};

/// Most characters of a wrong text that an error repeats.
const MAX_FOUND: usize = 120;

fn shown(text: &str) -> String {
    text.chars().take(MAX_FOUND).collect()
}

impl FromStr for Questions {
    type Err = StatisticsError;

    /// Reads lines such as `age from 20 to 90: mean, variance, 14 bins`; empty ones are left out.
    fn from_str(text: &str) -> Result<Self, StatisticsError> {
        let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        let questions =
            lines.map(|(index, line)| line.parse().map_err(|error: StatisticsError| error.at(index + 1)));
        Self::new(questions.collect::<Result<_, _>>()?)
    }
}

impl FromStr for Question {
    type Err = StatisticsError;

    fn from_str(line: &str) -> Result<Self, StatisticsError> {
        // From the end on: a column may be named anything.
        let parts = line.rsplit_once(':').and_then(|(head, statistics)| {
            let (head, upper) = head.rsplit_once(" to ")?;
            let (column, lower) = head.rsplit_once(" from ")?;
            Some((column, lower, upper, statistics))
        });
        let form = || StatisticsError::Form { found: shown(line.trim()) };
        let (column, lower, upper, statistics) = parts.ok_or_else(form)?;
        let number = |text: &str| text.trim().parse::<f64>().map_err(|_| form());
        let question = Self::new(column.trim(), Bounds::new(number(lower)?, number(upper)?)?)?;
        statistics.split(',').try_fold(question, |question, word| match word.trim() {
            "count" => Ok(question),
            "mean" | "variance" => Ok(question.with_moments()),
            other => {
                let bins = other.strip_suffix("bins").and_then(|number| number.trim().parse().ok());
                let bins = bins.ok_or_else(|| StatisticsError::Statistic { found: shown(other) })?;
                question.with_bins(bins)
            }
        })
    }
}

impl fmt::Display for Questions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.questions().iter().try_for_each(|question| writeln!(f, "{question}"))
    }
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} from {} to {}: ", self.column(), self.bounds().lower(), self.bounds().upper())?;
        match (self.moments(), self.bins()) {
            (false, None) => f.write_str("count"),
            (true, None) => f.write_str("mean, variance"),
            (false, Some(bins)) => write!(f, "{bins} bins"),
            (true, Some(bins)) => write!(f, "mean, variance, {bins} bins"),
        }
    }
}
