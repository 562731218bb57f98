//! The columns of the model's input, for each of the two splits.
//!
//! Attributes of several values become indicator columns without the first value. The last column says whether
//! cholesterol is missing; the README says why no other attribute gets such a column.

use crate::hospitals::split::Split;

/// Where a column's value comes from; attributes are numbered from 0 in the order of the file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Source {
    /// The attribute as it is.
    Number(usize),
    /// 1 if the attribute has this value, else 0.
    Level(usize, f64),
    /// 1 if the attribute is missing, else 0: always observed.
    Missing(usize),
}

/// One column.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Column {
    /// Its name, for messages and tests.
    pub(crate) name: &'static str,
    /// Where its values come from.
    pub(crate) source: Source,
    /// A value that any cardiologist would call ordinary, from textbooks and not from these patients.
    pub(crate) ordinary: f64,
    /// A difference from it that is nothing special, above 0.
    pub(crate) spread: f64,
    /// What values are clamped to before they are counted with noise. From textbooks, too: the least and the largest value of
    /// these patients would each tell about one of them.
    pub(crate) range: (f64, f64),
}

const fn number(
    name: &'static str,
    attribute: usize,
    (ordinary, spread): (f64, f64),
    range: (f64, f64),
) -> Column {
    let source = Source::Number(attribute);
    Column { name, source, ordinary, spread, range }
}

const fn flag(name: &'static str, source: Source) -> Column {
    Column { name, source, ordinary: 0.0, spread: 1.0, range: (0.0, 1.0) }
}

/// Years: adults whose coronary vessels are looked at. Before 25 hardly anybody has the illness, after 85 hardly anybody is sent.
const AGE: (f64, f64) = (25.0, 85.0);
/// Millimetres of mercury, systolic, at rest: below 90 is shock, from 180 on a crisis.
const PRESSURE: (f64, f64) = (80.0, 200.0);
/// Milligrams in a decilitre of serum: below 100 is rare without another illness, above 400 an inherited one.
const CHOLESTEROL: (f64, f64) = (100.0, 400.0);
/// Beats in a minute at the most effort: of the heart at rest, to 220 less the age of the youngest.
const HEART_RATE: (f64, f64) = (70.0, 200.0);
/// Millimetres by which the ST segment is lower after effort: 1 is a sign, 4 a grave one, below 0 it has risen.
const DEPRESSION: (f64, f64) = (-1.0, 4.0);
/// Three major vessels can be seen.
const VESSELS: (f64, f64) = (0.0, 3.0);

const OWN: [Column; 19] = [
    number("age", 0, (50.0, 10.0), AGE),
    flag("sex", Source::Number(1)),
    flag("cp_2", Source::Level(2, 2.0)),
    flag("cp_3", Source::Level(2, 3.0)),
    flag("cp_4", Source::Level(2, 4.0)),
    number("trestbps", 3, (130.0, 20.0), PRESSURE),
    number("chol", 4, (200.0, 50.0), CHOLESTEROL),
    flag("fbs", Source::Number(5)),
    flag("restecg_1", Source::Level(6, 1.0)),
    flag("restecg_2", Source::Level(6, 2.0)),
    number("thalach", 7, (140.0, 25.0), HEART_RATE),
    flag("exang", Source::Number(8)),
    number("oldpeak", 9, (0.0, 1.0), DEPRESSION),
    flag("slope_2", Source::Level(10, 2.0)),
    flag("slope_3", Source::Level(10, 3.0)),
    number("ca", 11, (0.0, 1.0), VESSELS),
    flag("thal_6", Source::Level(12, 6.0)),
    flag("thal_7", Source::Level(12, 7.0)),
    flag("chol_missing", Source::Missing(4)),
];

const PUBLISHED: [Column; 14] = [
    number("age", 0, (50.0, 10.0), AGE),
    flag("sex", Source::Number(1)),
    number("trestbps", 2, (130.0, 20.0), PRESSURE),
    number("chol", 3, (200.0, 50.0), CHOLESTEROL),
    flag("fbs", Source::Number(4)),
    number("thalach", 5, (140.0, 25.0), HEART_RATE),
    flag("exang", Source::Number(6)),
    number("oldpeak", 7, (0.0, 1.0), DEPRESSION),
    flag("cp_2", Source::Number(8)),
    flag("cp_3", Source::Number(9)),
    flag("cp_4", Source::Number(10)),
    flag("restecg_1", Source::Number(11)),
    flag("restecg_2", Source::Number(12)),
    flag("chol_missing", Source::Missing(3)),
];

/// How many attributes a patient has in either file.
pub(crate) const ATTRIBUTES: usize = 13;

impl Split {
    /// The columns of the model's input, in order.
    pub(crate) const fn columns(self) -> &'static [Column] {
        match self {
            Self::Own => &OWN,
            Self::Published => &PUBLISHED,
        }
    }

    /// The attributes whose 0 means "not measured": blood pressure and cholesterol of the living are above 0.
    pub(crate) const fn never_zero(self) -> [usize; 2] {
        match self {
            Self::Own => [3, 4],
            Self::Published => [2, 3],
        }
    }
}

impl Column {
    /// The value for a patient with these attributes; `None` if it is missing.
    pub(crate) fn value(&self, attributes: &[Option<f64>; ATTRIBUTES]) -> Option<f64> {
        let as_number = |yes| if yes { 1.0 } else { 0.0 };
        match self.source {
            Source::Number(attribute) => attributes[attribute],
            Source::Level(attribute, level) => attributes[attribute].map(|value| as_number(value == level)),
            Source::Missing(attribute) => Some(as_number(attributes[attribute].is_none())),
        }
    }
}
