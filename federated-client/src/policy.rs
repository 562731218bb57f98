//! What this site agrees to. A task that asks for more is declined, and the operator is told why.

use std::collections::BTreeSet;

use federated_core::{
    fault::{Fault, ReasonCode},
    ids::Digest,
    task::TrainTask,
};

/// What a site agrees to.
///
/// # Privacy
/// The coordinator says how large a cohort is. A policy bounds what an honest coordinator may ask for by mistake or
/// against the agreement; it does not protect against a coordinator that lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SitePolicy {
    /// The fewest participants of a round, this one included; 2 by default.
    pub min_cohort: u32,
    /// The most passes over the local examples in one round; 100 by default.
    pub max_local_epochs: u32,
    /// The largest model, size of its values in bytes; 4 GiB by default.
    pub max_model_bytes: u64,
    /// The digests of the layouts that may be trained; `None`, the default, allows any.
    pub allowed_layouts: Option<BTreeSet<Digest>>,
    /// Whether updates leave this site masked only; `false` by default.
    pub secure_aggregation_only: bool,
    /// Whether nothing leaves this site without differential privacy; `false` by default.
    pub private_only: bool,
}

impl Default for SitePolicy {
    fn default() -> Self {
        Self {
            min_cohort: 2,
            max_local_epochs: 100,
            max_model_bytes: 4 << 30,
            allowed_layouts: None,
            secure_aggregation_only: false,
            private_only: false,
        }
    }
}

/// Why a site does not do a task. The message goes to the operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyRefusal {
    /// Too few participants share the round.
    #[error("this site's policy.min_cohort is {limit}, the round has {found} participants")]
    MinCohort {
        /// The fewest allowed.
        limit: u32,
        /// What the task says.
        found: u32,
    },
    /// Too much local work.
    #[error("this site's policy.max_local_epochs is {limit}, the task asks for {found}")]
    LocalEpochs {
        /// The most allowed.
        limit: u32,
        /// What the task asks for.
        found: u32,
    },
    /// Too large a model.
    #[error("this site's policy.max_model is {limit} bytes, the task's model has {found}")]
    ModelSize {
        /// The most bytes allowed.
        limit: u64,
        /// The bytes of the task's model.
        found: u64,
    },
    /// A layout that is not on the list.
    #[error("this site's policy.allowed_layouts does not have the layout {found} of the task's model")]
    Layout {
        /// The digest of the task's layout.
        found: Digest,
    },
    /// Something without noise would leave.
    #[error("this site's privacy.required is true, the task asks for an update without differential privacy")]
    NoPrivacy,
    /// The coordinator would see the update by itself.
    #[error("this site's secure_aggregation.required is true, the task asks for an update in the clear")]
    InTheClear,
}

impl PolicyRefusal {
    /// Whose fault it is: the coordinator asked for something the site does not agree to.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        Fault::Peer
    }

    /// What the coordinator is told.
    #[must_use]
    pub const fn reason(&self) -> ReasonCode {
        ReasonCode::new(match self {
            Self::MinCohort { .. } => "POLICY_MIN_COHORT",
            Self::LocalEpochs { .. } => "POLICY_LOCAL_EPOCHS",
            Self::ModelSize { .. } => "POLICY_MODEL_SIZE",
            Self::InTheClear => "POLICY_SECURE_AGGREGATION",
            Self::NoPrivacy => "POLICY_PRIVACY",
            Self::Layout { .. } => "POLICY_LAYOUT",
        })
    }
}

impl SitePolicy {
    /// Whether the site agrees to a task.
    ///
    /// # Errors
    /// [`PolicyRefusal`] naming the limit and what the task asks for.
    pub fn check(&self, task: &TrainTask) -> Result<(), PolicyRefusal> {
        if self.secure_aggregation_only && task.secure.is_none() {
            return Err(PolicyRefusal::InTheClear);
        }
        if self.private_only && task.privacy.is_none() {
            return Err(PolicyRefusal::NoPrivacy);
        }
        let (limit, found) = (self.min_cohort, task.cohort_size);
        if found < limit {
            return Err(PolicyRefusal::MinCohort { limit, found });
        }
        let (limit, found) = (self.max_local_epochs, task.work.epochs.get());
        if found > limit {
            return Err(PolicyRefusal::LocalEpochs { limit, found });
        }
        let (limit, found) = (self.max_model_bytes, task.layout.bytes());
        if found > limit {
            return Err(PolicyRefusal::ModelSize { limit, found });
        }
        let found = task.layout.digest();
        match &self.allowed_layouts {
            Some(allowed) if !allowed.contains(&found) => Err(PolicyRefusal::Layout { found }),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::fixture;

    #[test]
    fn a_task_within_the_policy_is_done() {
        let task = fixture::task("heart", 1);
        let mut policy = SitePolicy {
            min_cohort: task.cohort_size,
            max_local_epochs: task.work.epochs.get(),
            max_model_bytes: task.layout.bytes(),
            allowed_layouts: Some([task.layout.digest()].into()),
            secure_aggregation_only: false,
            private_only: false,
        };
        assert_eq!(policy.check(&task), Ok(()));
        policy.allowed_layouts = None;
        assert_eq!(policy.check(&task), Ok(()));
    }

    #[test]
    fn each_limit_refuses_with_its_code_the_limit_and_what_was_found() {
        let task = fixture::task("heart", 1);
        let open = SitePolicy::default;
        let cases = [
            (SitePolicy { min_cohort: 5, ..open() }, "POLICY_MIN_COHORT", "is 5, the round has 4"),
            (
                SitePolicy { max_local_epochs: 1, ..open() },
                "POLICY_LOCAL_EPOCHS",
                "is 1, the task asks for 2",
            ),
            (
                SitePolicy { max_model_bytes: 7, ..open() },
                "POLICY_MODEL_SIZE",
                "is 7 bytes, the task's model has 8",
            ),
            (
                SitePolicy { allowed_layouts: Some(BTreeSet::new()), ..open() },
                "POLICY_LAYOUT",
                "does not have the layout",
            ),
            (
                SitePolicy { secure_aggregation_only: true, ..open() },
                "POLICY_SECURE_AGGREGATION",
                "the task asks for an update in the clear",
            ),
            (
                SitePolicy { private_only: true, ..open() },
                "POLICY_PRIVACY",
                "an update without differential privacy",
            ),
        ];
        for (policy, reason, text) in cases {
            let refusal = policy.check(&task).unwrap_err();
            assert_eq!(refusal.reason().as_str(), reason);
            assert!(refusal.to_string().contains(text), "{refusal}");
        }
    }
}
