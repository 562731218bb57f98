use std::{fmt, str::FromStr};

use federated_core::ids::{IdError, ParticipantName};

use crate::hospitals::split::Split;

/// One of the four hospitals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hospital {
    /// Cleveland Clinic Foundation.
    Cleveland,
    /// Hungarian Institute of Cardiology, Budapest.
    Hungarian,
    /// University hospitals of Zurich and Basel.
    Switzerland,
    /// V.A. Medical Center, Long Beach.
    Va,
}

const PUBLISHED: &str = include_str!("../data/heart_disease_uci/flamby_split_raw.csv");

impl Hospital {
    /// All four, in the order of the published split's `center`.
    pub(crate) const ALL: [Self; 4] = [Self::Cleveland, Self::Hungarian, Self::Switzerland, Self::Va];

    /// The name under which it is enrolled.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Cleveland => "cleveland",
            Self::Hungarian => "hungarian",
            Self::Switzerland => "switzerland",
            Self::Va => "va",
        }
    }

    /// The same, as the federation's type.
    pub(crate) fn participant(self) -> Result<ParticipantName, IdError> {
        self.name().parse()
    }

    /// The patients of this hospital alone, as text: the file that lies at the site.
    pub(crate) fn records(self, split: Split) -> String {
        match split {
            Split::Own => self.own_records().to_owned(),
            Split::Published => {
                let center = Self::ALL.iter().position(|hospital| *hospital == self);
                let prefix = format!("{},", center.unwrap_or_default());
                let mut lines = PUBLISHED.lines();
                let header = lines.next().unwrap_or_default();
                let own = lines.filter(|line| line.starts_with(&prefix));
                std::iter::once(header).chain(own).map(|line| format!("{line}\n")).collect()
            }
        }
    }

    const fn own_records(self) -> &'static str {
        match self {
            Self::Cleveland => include_str!("../data/heart_disease_uci/processed.cleveland.data"),
            Self::Hungarian => include_str!("../data/heart_disease_uci/processed.hungarian.data"),
            Self::Switzerland => include_str!("../data/heart_disease_uci/processed.switzerland.data"),
            Self::Va => include_str!("../data/heart_disease_uci/processed.va.data"),
        }
    }
}

impl fmt::Display for Hospital {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Hospital {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|hospital| hospital.name() == text);
        found.ok_or_else(|| format!("expected cleveland, hungarian, switzerland or va, found `{text}`"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_s_file_holds_its_own_patients_only() {
        let count = |split| Hospital::ALL.map(|hospital| hospital.records(split).lines().count());
        assert_eq!(count(Split::Own), [303, 294, 123, 200]);
        // With a header line each.
        assert_eq!(count(Split::Published), [304, 262, 47, 131]);
    }

    #[test]
    fn names_are_read_as_they_are_written() {
        for hospital in Hospital::ALL {
            assert_eq!(hospital.to_string().parse(), Ok(hospital));
            assert!(hospital.participant().is_ok());
        }
        assert!("zurich".parse::<Hospital>().is_err());
    }
}
