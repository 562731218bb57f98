use super::Finding;
use crate::{
    config::ParticipantConfig,
    session::{CallError, ConnectError, Connection},
    transport::{SiteIdentity, Stage},
};

/// The steps of a connection in their order, with what is told of each once it is done.
const STEPS: [(Stage, &str, &str); 4] = [
    (Stage::Resolve, "coordinator: name", "the host has an address"),
    (Stage::Connect, "coordinator: network", "it accepts connections"),
    (Stage::Secure, "coordinator: TLS", "both sides accept the other's certificate"),
    (Stage::Call, "coordinator: version", "it knows this participant and speaks a common version"),
];

pub(super) async fn check(config: &ParticipantConfig) -> Vec<Finding> {
    // What is wrong with the files stands in the findings about them.
    let Ok(identity) = SiteIdentity::load(&config.tls, &config.name) else {
        let (detail, remedy) = ("not tried", "solve the problems with the `tls` files first");
        return vec![Finding::warning("coordinator", detail, remedy)];
    };
    match Connection::open(&config.coordinator, &identity).await {
        Ok(connection) => {
            let terms = connection.terms();
            let mut findings = done(Stage::Call);
            let (software, largest) = (&terms.software, terms.max_model);
            findings.push(Finding::ok(
                "coordinator: version",
                format!(
                    "{software}, federated.v1 minor version {}, models up to {largest} bytes",
                    terms.minor
                ),
            ));
            findings
        }
        Err(error) => {
            let stage = match &error {
                ConnectError::Call(CallError::Transport(error)) => error.stage(),
                _ => Stage::Call,
            };
            let name =
                STEPS.iter().find(|(step, ..)| *step == stage).map_or("coordinator", |(_, name, _)| name);
            let mut findings = done(stage);
            findings.push(match &error {
                ConnectError::Call(CallError::Refused(refusal)) => {
                    Finding::problem(name, refusal.to_string(), remedy(&refusal.reason))
                }
                _ => Finding::error(name, &error),
            });
            findings
        }
    }
}

/// What a site does about the coordinator's refusal.
fn remedy(reason: &str) -> &'static str {
    match reason {
        "CERTIFICATE_SUPERSEDED" => "use the bundle of the last enrolment",
        "CERTIFICATE_INVALID" | "PARTICIPANT_NOT_ENROLLED" | "ROLE_FORBIDDEN" => {
            "ask the coordinator's operator for a new bundle"
        }
        "VERSION_UNSUPPORTED" => "update the older of client and coordinator",
        _ => "try again later; if it stays so, ask the coordinator's operator",
    }
}

/// The steps before `stage`, which are done.
fn done(stage: Stage) -> Vec<Finding> {
    STEPS
        .iter()
        .filter(|(step, ..)| *step < stage)
        .map(|(_, name, detail)| Finding::ok(name, *detail))
        .collect()
}
