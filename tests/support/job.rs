use federated_core::model::{ModelLayout, ModelParameters, TensorSpec};

/// The layout of a linear regression on `features` features: `weight` `[features, 1]` and `bias` `[1]`.
#[must_use]
pub fn layout(features: u64) -> ModelLayout {
    let tensors = vec![TensorSpec::new("weight", [features, 1]), TensorSpec::new("bias", [1])];
    ModelLayout::new(tensors).expect("a layout")
}

/// A model of [`layout`] in which every value is `value`.
#[must_use]
pub fn model(features: u64, value: f32) -> ModelParameters {
    let layout = layout(features);
    let count = usize::try_from(layout.elements()).expect("a small model");
    ModelParameters::new(layout, vec![value; count]).expect("a model")
}

/// A job file that is written by setting fields. The defaults are two features, one round, and time-outs that a test
/// never reaches.
#[derive(Clone, Debug)]
pub struct Job {
    /// The job's name.
    pub name: String,
    /// How many rounds.
    pub rounds: u32,
    /// How often a round is tried.
    pub attempts: u32,
    /// Who may take part; everyone when empty.
    pub participants: Vec<&'static str>,
    /// How many must be present.
    pub min_participants: u32,
    /// How many updates are enough.
    pub quorum: u32,
    /// Passes over the local examples.
    pub local_epochs: u32,
    /// The share of those present that a round aims for.
    pub fraction: f64,
    /// Tasks for each update aimed for.
    pub over_selection: f64,
    /// Time-out, for instance `"1h"`.
    pub deadline: &'static str,
    /// Time-out.
    pub absence: &'static str,
    /// The pause before an abandoned round is tried again.
    pub retry: &'static str,
    /// The job file's table `[compression]`, for instance `codec = "int8"`; none when empty.
    pub compression: &'static str,
    /// The job file's table `[aggregation]`, for instance `kind = "median"`; none when empty.
    pub aggregation: &'static str,
    /// The job file's table `[privacy.secure_aggregation]`; none when empty.
    pub secure_aggregation: String,
    /// The job file's table `[privacy.dp]`; none when empty.
    pub privacy: String,
    /// The job file's table `[training]`; none when empty.
    pub training: String,
    /// The model that the first round starts from.
    pub model: ModelParameters,
}

impl Job {
    /// A job of one round that needs `participants` participants and as many updates.
    #[must_use]
    pub fn new(name: &str, participants: u32) -> Self {
        Self {
            name: name.to_owned(),
            rounds: 1,
            attempts: 3,
            participants: Vec::new(),
            min_participants: participants,
            quorum: participants,
            local_epochs: 1,
            fraction: 1.0,
            over_selection: 1.0,
            deadline: "1h",
            absence: "1h",
            retry: "0s",
            compression: "",
            aggregation: "",
            secure_aggregation: String::new(),
            privacy: String::new(),
            training: String::new(),
            model: model(2, 0.0),
        }
    }

    /// The job file.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let Self {
            name,
            rounds,
            attempts,
            participants,
            min_participants,
            quorum,
            local_epochs,
            fraction,
            over_selection,
            deadline,
            absence,
            retry,
            compression,
            aggregation,
            secure_aggregation,
            privacy,
            training,
            ..
        } = self;
        let table = |name: &str, content: &str| match content {
            "" => String::new(),
            content => format!("[{name}]\n{content}"),
        };
        let (compression, aggregation) =
            (table("compression", compression), table("aggregation", aggregation));
        let secure_aggregation = table("privacy.secure_aggregation", secure_aggregation);
        let (privacy, training) = (table("privacy.dp", privacy), table("training", training));
        let participants = match participants.as_slice() {
            [] => String::new(),
            names => format!("participants = {names:?}"),
        };
        format!(
            r#"
            name = "{name}"
            rounds = {rounds}
            attempts = {attempts}
            seed = 7
            model = {{ initial = "initial.safetensors" }}
            [strategy]
            kind = "fedavg"
            local_epochs = {local_epochs}
            learning_rate = 0.25
            [cohort]
            {participants}
            min_participants = {min_participants}
            quorum = {quorum}
            fraction = {fraction:?}
            over_selection = {over_selection:?}
            [timeouts]
            deadline = "{deadline}"
            absence = "{absence}"
            retry = "{retry}"
            {compression}
            {aggregation}
            {secure_aggregation}
            {privacy}
            {training}
            "#
        )
    }
}
