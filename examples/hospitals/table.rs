//! The result as tables, for people.

use comfy_table::{CellAlignment, Table, presets};

use crate::{
    classification::Quality,
    figure::Figure,
    hospitals::{
        experiment::{Experiment, Outcome},
        figures::QualityFigures,
    },
};

/// Both tables, and what the federation cost.
pub(crate) fn text(experiment: &Experiment, outcomes: &[Outcome]) -> String {
    let mut out = format!("{}\n\n{}\n", by_hospital(outcomes), overall(outcomes));
    let figure = |pick: fn(&Outcome) -> f64| {
        let numbers: Vec<f64> = outcomes.iter().map(pick).collect();
        Figure::of(&numbers).map_or(0.0, |figure| figure.mean)
    };
    let kib = |bytes: f64| format!("{:.1} KiB", bytes / 1024.0);
    let each = if outcomes.len() == 1 { "" } else { " for each seed" };
    out += &format!(
        "\n{} rounds of {} after one of statistics: {} up, {} down, {:.1} s{each}\n",
        experiment.recipe.rounds,
        experiment.recipe.learning,
        kib(figure(|outcome| outcome.bytes_up as f64)),
        kib(figure(|outcome| outcome.bytes_down as f64)),
        figure(|outcome| outcome.elapsed.as_secs_f64()),
    );
    if let [outcome] = outcomes {
        out += &format!("federated model: digest {}, seed {}\n", outcome.model, outcome.seed);
    } else {
        out += "means over the seeds ± standard deviation\n";
    }
    out
}

/// Each hospital's test set under its own model, the federation's, and that of all patients in one place.
fn by_hospital(outcomes: &[Outcome]) -> Table {
    let header =
        ["test set", "train", "test", "alone: acc.", "AUC", "federated: acc.", "AUC", "pooled: acc.", "AUC"];
    let mut table = table(&header);
    let Some(first) = outcomes.first() else { return table };
    for (index, site) in first.sites.iter().enumerate() {
        let mut row = vec![site.hospital.to_string(), site.train.to_string(), site.test.to_string()];
        let picks: [fn(&Outcome, usize) -> Quality; 3] = [
            |outcome, index| outcome.sites[index].alone,
            |outcome, index| outcome.sites[index].federated,
            |outcome, index| outcome.sites[index].pooled,
        ];
        row.extend(picks.iter().flat_map(|pick| cells(outcomes, |outcome| pick(outcome, index))));
        table.add_row(row);
    }
    table
}

/// The test sets of all four together, under each model.
fn overall(outcomes: &[Outcome]) -> Table {
    let mut table = table(&["model, on the test sets of all", "acc.", "AUC"]);
    let mut add = |name: String, pick: &dyn Fn(&Outcome) -> Quality| {
        let row = std::iter::once(name).chain(cells(outcomes, pick));
        table.add_row(row.collect::<Vec<_>>());
    };
    if let Some(first) = outcomes.first() {
        for (index, site) in first.sites.iter().enumerate() {
            add(format!("{} alone", site.hospital), &|outcome| outcome.sites[index].alone_overall);
        }
    }
    add("federated".to_owned(), &|outcome| outcome.federated);
    add("pooled".to_owned(), &|outcome| outcome.pooled);
    table
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_header(header.to_vec());
    table.column_iter_mut().skip(1).for_each(|column| column.set_cell_alignment(CellAlignment::Right));
    table
}

fn cells(outcomes: &[Outcome], pick: impl Fn(&Outcome) -> Quality) -> [String; 2] {
    let figures = QualityFigures::over(outcomes, pick);
    [figures.accuracy, figures.auc].map(|figure| match figure {
        None => "-".to_owned(),
        Some(Figure { mean, deviation: None }) => format!("{mean:.3}"),
        Some(Figure { mean, deviation: Some(deviation) }) => format!("{mean:.3} ± {deviation:.3}"),
    })
}
