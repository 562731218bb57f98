use super::Finding;
use crate::{
    config::{ParticipantConfig, TableFile},
    dataset::read_csv,
    device::Device,
};

/// The table and the device. Both may take seconds, so they are away from the threads that serve the network.
pub(super) async fn check(config: &ParticipantConfig) -> Vec<Finding> {
    let (table, chosen) = (config.data.clone(), config.device);
    let work = move || vec![data(table.as_ref()), device(chosen)];
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| vec![Finding::error("device", &error)])
}

fn data(table: Option<&TableFile>) -> Finding {
    let Some(table) = table else {
        let detail = "none configured: an application that embeds the client brings its own";
        return Finding::ok("data", detail);
    };
    match read_csv(&table.csv, &table.label) {
        Ok(dataset) => {
            let (rows, columns) = (dataset.example_count(), dataset.feature_count());
            let detail = format!(
                "{}: {rows} rows, {columns} feature columns, label `{}`",
                table.csv.display(),
                table.label
            );
            Finding::ok("data", detail)
        }
        Err(error) => Finding::error("data", &error),
    }
}

fn device(device: Device) -> Finding {
    match device.probe() {
        Ok(report) => {
            let detail = match report.passed_over {
                Some(reason) => format!("{} ({reason})", report.description),
                None => report.description,
            };
            Finding::ok("device", detail)
        }
        Err(error) => Finding::error("device", &error),
    }
}
